"""HTML -> its forms, as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_NO_TEXT = {"hidden", "checkbox", "radio", "submit", "button", "file", "number"}


@dataclass
class Form:
    method: str
    action: str
    values: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    """The fields into which somebody may type what they like; hidden ones too, as nobody is kept from it."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select = ""

    def handle_starttag(self, tag, attrs):
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(method=told.get("method", "get").upper(), action=told.get("action", ""))
            self.forms.append(self._form)
            return
        if self._form is None or ("name" not in told and tag != "option"):
            return
        if tag == "select":
            self._select = told["name"]
        elif tag == "option" and self._select:
            if "selected" in told or self._select not in self._form.values:
                self._form.values[self._select] = told.get("value", "")
        elif tag in {"input", "textarea"}:
            self._form.values[told["name"]] = told.get("value", "")
            if told.get("type", "text") not in _NO_TEXT or told.get("type") == "hidden":
                self._form.texts.append(told["name"])

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = ""


def forms_of(html: str) -> list[Form]:
    reader = _Reader()
    reader.feed(html)
    return reader.forms
