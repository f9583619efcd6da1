import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.deliver.apprise_sender import AppriseSender
from hub.deliver.channels import URL_CHARS, ChannelError, allowed_host, checked_url, hosts_of, shown_url

GOOD = (
    "mailtos://li:secret@mail.example:465?to=duty@example.cn&from=gate@example.cn&mode=ssl",
    "mailto://li:secret@example.cn?smtp=smtp.example.cn",
    "json://10.0.0.7:8080/alerts",
    "jsons://hook.example/alerts?+X-Token=abc",
    "wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa",
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa",
    "dingtalk://SEC123@tok123",
    "feishu://abc123",
    "https://open.feishu.cn/open-apis/bot/v2/hook/abc123",
)
BAD = {
    "": "needed",
    "file:///etc/passwd": "begins with none",
    "dbus://": "begins with none",
    "syslog://": "begins with none",
    "exec://rm": "begins with none",
    "http://10.0.0.1/x": "begins with none",
    "https://example.cn/x": "robot",
    "json://": "no host",
    "json://localhost:8080": "this machine",
    "json://LOCALHOST.:8080": "this machine",
    "json://a.localhost": "this machine",
    "json://127.0.0.1": "this machine",
    "json://127.1": "this machine",
    "json://2130706433": "this machine",
    "json://0x7f000001": "this machine",
    "json://0.0.0.0": "this machine",
    "json://169.254.169.254/latest/meta-data": "this machine",
    "json://[::1]:80": "this machine",
    "json://[::ffff:127.0.0.1]": "this machine",
    "json://[fe80::1]": "this machine",
    "mailto://li@example.cn?smtp=127.0.0.1": "this machine",
    "mailto://li@example.cn?SMTP=localhost": "this machine",
    "jsons://example.cn?verify=no": "not allowed",
    "jsons://example.cn?redirect=yes": "not allowed",
    "jsons://example.cn?method=GET": "not allowed",
    "mailto://li@example.cn?mode=insecure": "not allowed",
    "mailto://li@example.cn?pgpkey=/etc/passwd": "not allowed",
    "wecombot://abc?overflow=split": "not allowed",
    "json://example.cn,file:///etc/passwd": "characters",
    "json://example.cn file:///etc/passwd": "characters",
    "json://example.cn\n": None,
    "json://example.cn\x00": "characters",
    "json://example.cn:99999": "no address",
    "json://" + "a" * URL_CHARS: "characters",
}


@pytest.mark.parametrize("url", GOOD)
def test_what_may_be_spoken_to_is_taken_and_apprise_can_read_it(url):
    taken = checked_url(f" {url}\n")
    assert taken == (url if "https:" not in url else taken)
    assert not taken.startswith("https:")
    sender = AppriseSender(loopback=False)
    service = sender._service(taken)
    assert service is not None
    assert service.verify_certificate
    assert not service.redirects
    sender.close()


@pytest.mark.parametrize(("url", "why"), BAD.items())
def test_everything_else_is_refused_with_a_reason_that_does_not_repeat_it(url, why):
    if why is None:
        assert checked_url(url) == url.strip()
        return
    with pytest.raises(ChannelError, match=why) as raised:
        checked_url(url)
    assert "/etc/passwd" not in str(raised.value)


def test_the_sandbox_may_speak_to_this_machine():
    assert checked_url("json://127.0.0.1:8080", loopback=True)
    with pytest.raises(ChannelError):
        checked_url("file:///etc/passwd", loopback=True)


@given(st.text(max_size=200))
def test_whatever_is_typed_is_taken_or_refused(text):
    with contextlib.suppress(ChannelError):
        assert all(allowed_host(host) for host in hosts_of(checked_url(text)))


@pytest.mark.parametrize("url", GOOD)
def test_what_is_shown_holds_no_secret(url):
    shown = shown_url(checked_url(url))
    for secret in ("secret", "abc", "693a", "tok123", "SEC123", "li:"):
        assert secret not in shown
