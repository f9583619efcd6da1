"""Every value of an application has a title, and every sentence of these pages is there in Chinese."""

import re
from importlib.resources import files

import pytest

from hub.console.pages.place_titles import CERTIFICATES, FIELDS, KINDS, STATES
from hub.console.web.words import Words
from hub.registry.applications import COMMITMENT
from hub.store.place_ports import ApplicationState
from protocol.limits import COMMITMENT_CHARS
from protocol.terms import CertificateKind, PlaceKind

TEMPLATES = ("places.html", "place.html", "place_parts.html", "place_application.html", "place_application_form.html")


def test_every_value_has_a_title():
    assert KINDS.keys() == {kind.name.lower() for kind in PlaceKind}
    assert CERTIFICATES.keys() == {kind.name.lower() for kind in CertificateKind}
    assert STATES.keys() == set(ApplicationState)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_sentence_of_a_template_is_translated(template):
    text = (files("hub.console") / "templates" / template).read_text(encoding="utf-8")
    say = Words().of("zh")
    sentences = {found[1] for found in re.finditer(r"""_\((?:"([^"]+)"|'([^']+)')\)""", text) if found[1]}
    sentences |= {found[2] for found in re.finditer(r"""_\((?:"([^"]+)"|'([^']+)')\)""", text) if found[2]}
    assert {sentence for sentence in sentences if say(sentence) == sentence} == set()


def test_every_sentence_of_the_code_is_translated():
    from hub.console.api import applications as api
    from hub.registry import applications as registry

    say = Words().of("zh")
    sentences = {*FIELDS.values(), *KINDS.values(), *CERTIFICATES.values(), *STATES.values(), COMMITMENT}
    sentences |= {*api._SENTENCES.values(), api._SENTENCE, *(what for _, what in registry._CERTIFICATES.values())}
    assert {sentence for sentence in sentences if say(sentence) == sentence} == set()
    for language in ("en", "zh"):
        assert len(Words().of(language)(COMMITMENT)) <= COMMITMENT_CHARS
