"""What pages with forms have in common: fields by name, and coming back with what was wrong."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from hub.console.errors import ConflictError, ForbiddenError, InvalidError, TooManyError
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError

FIELDS_MOST: Final = 100


async def form_of(request: Request) -> dict[str, str]:
    """The form's texts by name; of several with one name the last. Files are not taken."""
    form = await _read(request)
    return {name: value for name, value in form.multi_items() if not isinstance(value, UploadFile)}


async def list_of(request: Request, name: str) -> list[str]:
    """All texts of one name."""
    form = await _read(request)
    return [value for value in form.getlist(name) if not isinstance(value, UploadFile)]


async def _read(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=FIELDS_MOST)


def shape(kind: type[Any], values: dict[str, Any]) -> Any:
    """Fields -> a body as the API takes it. Raises InvalidError with the field's name."""
    model: type[BaseModel] = kind
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else ""
        raise InvalidError("malformed", str(first["msg"]), where=where) from error


async def attempt(
    act: Callable[[], Awaitable[Response]], again: Callable[[InvalidError | Exception], Response]
) -> Response:
    """Do what a form asks for; what it says wrongly comes back on its page, with everything else as it was typed."""
    try:
        return await act()
    except TooManyError as error:
        answer = again(error)
        answer.headers["retry-after"] = str(error.wait_s)
        return answer
    except (InvalidError, ConflictError, ForbiddenError) as error:
        return again(error)
    except RegistryConflictError as error:
        return again(ConflictError("conflict", str(error)))
    except RegistryError as error:
        return again(InvalidError("malformed", str(error)))


async def attempt_or(
    act: Callable[[], Awaitable[Response]], again: Callable[[Exception], Awaitable[Response]]
) -> Response:
    """The same, for a page that is read anew when it comes back."""
    wrong: list[Exception] = []

    def note(error: Exception) -> Response:
        wrong.append(error)
        return Response()

    answer = await attempt(act, note)
    if not wrong:
        return answer
    page = await again(wrong[0])
    page.headers.update({name: value for name, value in answer.headers.items() if name == "retry-after"})
    return page


def to(path: str) -> RedirectResponse:
    """See other: after a change a page is asked for, which may be loaded again without doing it twice."""
    return RedirectResponse(path, status_code=303)
