"""What the console can do, as functions: programs call them by HTTP, our pages directly."""

from typing import Final

from fastapi import APIRouter

from hub.console.api import (
    accounts,
    alerts,
    applications,
    audit,
    commands,
    desk,
    enrolments,
    firmware,
    live,
    occupancy,
    places,
    policies,
    reference,
    register,
    scanners,
    sessions,
    slips,
    summary,
    traces,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    accounts.ROUTER,
    sessions.ROUTER,
    audit.ROUTER,
    places.ROUTER,
    applications.ROUTER,
    reference.ROUTER,
    policies.ROUTER,
    register.ROUTER,
    summary.ROUTER,
    slips.ROUTER,
    traces.ROUTER,
    live.ROUTER,
    occupancy.ROUTER,
    alerts.ROUTER,
    scanners.ROUTER,
    enrolments.ROUTER,
    commands.ROUTER,
    firmware.ROUTER,
    desk.ROUTER,
)
