"""The application -> all its routes, and the permission that each asks for."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from hub.console.accounts.roles import Permission
from hub.console.web.asking import Needs

API = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `permission` None: also for those who are not signed in."""

    method: str
    path: str
    permission: Permission | None
    dependant: Dependant

    @property
    def is_api(self) -> bool:
        """Whether it answers programs."""
        return self.path.startswith(f"{API}/")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def every_route(app: FastAPI) -> Iterator[Route]:
    """All of them, as they are asked in turn; not the files under /static."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in sorted(context.methods or ()):
                yield Route(
                    method=method,
                    path=context.path or route.path,
                    permission=_permission(route.dependant),
                    dependant=route.dependant,
                )


def _permission(dependant: Dependant) -> Permission | None:
    for each in dependant.dependencies:
        found = each.call.permission if isinstance(each.call, Needs) else _permission(each)
        if found is not None:
            return found
    return None
