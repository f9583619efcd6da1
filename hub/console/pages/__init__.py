"""The pages: forms and tables for people, over the functions of `api`."""

from typing import Final

from fastapi import APIRouter

from hub.console.pages import (
    accounts,
    alerts,
    applications,
    audit,
    desk,
    enrolments,
    entry,
    firmware,
    live,
    me,
    places,
    policies,
    reference,
    register,
    scanners,
    slips,
    traces,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    entry.ROUTER,
    me.ROUTER,
    accounts.ROUTER,
    audit.ROUTER,
    places.ROUTER,
    applications.ROUTER,
    policies.ROUTER,
    register.ROUTER,
    slips.ROUTER,
    traces.ROUTER,
    live.ROUTER,
    alerts.ROUTER,
    enrolments.ROUTER,
    scanners.ROUTER,
    firmware.ROUTER,
    desk.ROUTER,
    reference.ROUTER,
)
