"""Shared by the sandbox's tests: a platform's authority, made once."""

import time

import pytest

from deploy.sandbox.platform.authority import create_authority


@pytest.fixture(scope="session")
def authority_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    create_authority(folder, now_s=int(time.time()))
    return folder
