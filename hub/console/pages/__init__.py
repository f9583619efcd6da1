"""The pages: forms and tables for people, over the functions of `api`."""

from typing import Final

from fastapi import APIRouter

from hub.console.pages import accounts, audit, desk, entry, me

ROUTERS: Final[tuple[APIRouter, ...]] = (entry.ROUTER, me.ROUTER, accounts.ROUTER, audit.ROUTER, desk.ROUTER)
