"""Stored rows -> outside: counts by minute, batches to the platform, and forgetting what is personal.

Decisions
    2026-11: four batches under way at most, and at most sixteen waiting for another try, so that a platform
    that is down finds full batches when it comes back, and one that refuses a few goes on with the others. To
    a platform that answers, one more is offered every half minute, or sixteen bad ones would block all the rest.
    2026-11: a batch that the platform cannot digest (5xx) while it takes others counts as refused after eight
    tries: it is halved until the one bad check-in stands alone and is parked.
"""
