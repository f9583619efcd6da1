"""Packages, files -> CycloneDX 1.6 as JSON, byte for byte the same for the same content."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL

from deploy.sbom.errors import SbomError
from deploy.sbom.shipped import Shipped
from deploy.sbom.targets import Machine, Target
from deploy.sbom.tree import Package, Tree

HASHES_MEAN: Final = (
    "the hashes of a Python package are those that requirements.lock lets in: each of one file of that version,"
    " the source or the wheel for some machine"
)


def write(target: Target, *, tree: Tree, shipped: Shipped) -> str:
    """The whole document. It has no time in it, and its serial number is made from its content.

    Raises:
        SbomError: shipped.toml names a Python package that `target` does not have.
    """
    bom = Bom(properties=[Property(name="gatelight:hashes", value=HASHES_MEAN)])
    root = Component(
        name="gatelight",
        type=ComponentType.APPLICATION,
        version=tree.version,
        description=target.description,
        bom_ref=f"gatelight-{target.name}",
        # Of no registry: a purl of one would claim whatever is called so there.
        purl=PackageURL(type="generic", name="gatelight", version=tree.version, qualifiers={"part": target.name}),
        licenses=[_licence(tree.licence)],
    )
    bom.metadata.component = root
    python = {key: _python(package, target) for key, package in tree.packages.items()}
    for key, component in python.items():
        bom.components.add(component)
        bom.register_dependency(component, [python[need] for need in sorted(tree.packages[key].needs)])
    bom.register_dependency(root, [python[need] for need in sorted(tree.needs)])
    _add_debian(bom, root, shipped, python)
    _add_assets(bom, root, shipped)
    return _settled(JsonV1Dot6(bom).output_as_string())


def _python(package: Package, target: Target) -> Component:
    locked, facts = package.locked, package.facts
    properties = []
    if package.machines != set(target.machines):
        properties.append(Property(name="gatelight:only-for", value=_names(package.machines)))
    if facts.version != locked.version:
        # Of two versions for two Pythons one is installed here at most.
        properties.append(Property(name="gatelight:licence-read-from-version", value=facts.version))
    purl = PackageURL(type="pypi", name=locked.name, version=locked.version)
    return Component(
        name=facts.name,
        type=ComponentType.LIBRARY,
        version=locked.version,
        scope=ComponentScope.REQUIRED if package.always else ComponentScope.OPTIONAL,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in locked.sha256],
        licenses=[_licence(facts.spdx)] if facts.spdx else _in_words(facts.licence_words),
        properties=properties,
    )


def _add_debian(bom: Bom, root: Component, shipped: Shipped, python: dict[tuple[str, str], Component]) -> None:
    """The system's packages, without a version: apt decides it."""
    by_name = {name: component for (name, _), component in python.items()}
    for entry in shipped.debian:
        purl = PackageURL(type="deb", namespace=entry.archive, name=entry.name)
        notes = [("gatelight:needed-for", entry.when), ("gatelight:note", entry.note)]
        component = Component(
            name=entry.name,
            type=ComponentType.LIBRARY,
            scope=ComponentScope.OPTIONAL if entry.when else ComponentScope.REQUIRED,
            bom_ref=purl.to_string(),
            purl=purl,
            licenses=[_licence(entry.licence)],
            properties=[Property(name=name, value=value) for name, value in notes if value],
        )
        bom.components.add(component)
        needed_by = root
        if entry.needed_by is not None:
            if entry.needed_by not in by_name:
                raise SbomError(f"shipped.toml: {entry.name} is needed by {entry.needed_by}, which is in no extra")
            needed_by = by_name[entry.needed_by]
        bom.register_dependency(needed_by, [component])
        bom.register_dependency(component)


def _add_assets(bom: Bom, root: Component, shipped: Shipped) -> None:
    """Each file of the browser's with its hash, and the packages of npm that it is made of."""
    for entry in shipped.assets:
        origins = [_npm(origin.name, origin.version, entry.licence) for origin in entry.made_of]
        for origin in origins:
            bom.components.add(origin)
            bom.register_dependency(origin)
        for name in entry.files:
            file = Component(
                name=name,
                type=ComponentType.FILE,
                scope=ComponentScope.REQUIRED,
                bom_ref=f"file:{name}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=shipped.sha256[name])],
                licenses=[_licence(entry.licence)],
            )
            bom.components.add(file)
            bom.register_dependency(root, [file])
            bom.register_dependency(file, origins)


def _npm(name: str, version: str, licence: str) -> Component:
    namespace, _, short = name.rpartition("/")
    purl = PackageURL(type="npm", namespace=namespace or None, name=short, version=version)
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        version=version,
        scope=ComponentScope.REQUIRED,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[_licence(licence)],
    )


def _licence(spdx: str) -> License:
    return DisjunctiveLicense(id=spdx) if is_supported_id(spdx) else LicenseExpression(spdx)


def _in_words(words: str | None) -> list[License]:
    return [DisjunctiveLicense(name=words)] if words else []


def _names(machines: Iterable[Machine]) -> str:
    return ", ".join(sorted(machine.name for machine in machines))


def _settled(text: str) -> str:
    """Without the moment and the random number that the library puts in; the serial number stands for the content."""
    document = json.loads(text)
    document["metadata"].pop("timestamp", None)
    document.pop("serialNumber", None)
    content = json.dumps(document, sort_keys=True).encode()
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(content).hexdigest()).urn
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
