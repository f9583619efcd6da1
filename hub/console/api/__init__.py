"""What the console can do, as functions: programs call them by HTTP, our pages directly."""

from typing import Final

from fastapi import APIRouter

from hub.console.api import accounts, audit, desk, sessions

ROUTERS: Final[tuple[APIRouter, ...]] = (accounts.ROUTER, sessions.ROUTER, audit.ROUTER, desk.ROUTER)
