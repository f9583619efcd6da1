"""What the console can do, as functions: programs call them by HTTP, our pages directly."""

from typing import Final

from fastapi import APIRouter

from hub.console.api import accounts, alerts, audit, live, occupancy, sessions

ROUTERS: Final[tuple[APIRouter, ...]] = (
    accounts.ROUTER,
    sessions.ROUTER,
    audit.ROUTER,
    live.ROUTER,
    occupancy.ROUTER,
    alerts.ROUTER,
)
