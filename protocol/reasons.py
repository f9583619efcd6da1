"""Why a gate decided as it did: stable numbers, stable names, a sentence for people (PROTOCOL §7).

1 to 14 are about the person's code, 20 to 24 about the code itself, 30 and up about us.
"""

from enum import IntEnum
from typing import Literal


class Reason(IntEnum):
    """A reason's number on the wire."""

    OK = 0
    COLOUR_YELLOW = 1
    COLOUR_RED = 2
    NOTICE = 3
    EXPIRED = 10
    NOT_YET_VALID = 11
    ALREADY_USED = 12
    SPECIMEN = 13
    TEMPERATURE_HIGH = 14
    BAD_SIGNATURE = 20
    UNKNOWN_ISSUER = 21
    MALFORMED = 22
    UNSUPPORTED = 23
    SEVERAL_CODES = 24
    CLOCK_UNTRUSTED = 30
    STATUS_STALE = 31
    NOT_FOUND = 32
    RESOLVER_TIMEOUT = 33
    GATE_DISABLED = 40
    PLACE_CLOSED = 41
    STORAGE_FAILED = 42
    THERMOMETER_FAILED = 43

    @property
    def wire_name(self) -> str:
        """The name in logs, metrics and exports, e.g. `colour_yellow`."""
        return self.name.lower()


GREY_REASONS = frozenset(
    reason for reason in Reason if reason is not Reason.TEMPERATURE_HIGH and reason.value >= Reason.EXPIRED.value
)
"""Shown grey, never red: what the gate cannot know, or what is no fault of the person's health."""

SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.OK: ("请通行。", "Please pass."),
    Reason.COLOUR_YELLOW: ("黄码，请等候工作人员。", "Yellow code: please wait for an attendant."),
    Reason.COLOUR_RED: (
        "红码，禁止通行，工作人员将协助您。",
        "Red code: entry refused, an attendant will help you.",
    ),
    Reason.NOTICE: (
        "您有待办事项，请查看手机提示。",
        "There is something to settle: please see the notice on your phone.",
    ),
    Reason.EXPIRED: ("二维码已过期，请刷新后重试。", "The code has expired: refresh it and show it again."),
    Reason.NOT_YET_VALID: (
        "二维码尚未生效，请检查手机时间。",
        "The code is not valid yet: check the phone's clock.",
    ),
    Reason.ALREADY_USED: (
        "此码刚刚已使用，一人一码。",
        "This code was used a moment ago: one code, one person.",
    ),
    Reason.SPECIMEN: ("这是样码，不能通行。", "This is a specimen and admits nobody."),
    Reason.TEMPERATURE_HIGH: (
        "体温偏高，请等候工作人员。",
        "The temperature is high: please wait for an attendant.",
    ),
    Reason.BAD_SIGNATURE: ("无法验证此码的签名。", "The code's signature cannot be verified."),
    Reason.UNKNOWN_ISSUER: ("无法识别此码的签发方。", "The issuer of this code is not known here."),
    Reason.MALFORMED: ("此码已损坏，无法读取。", "The code is damaged and cannot be read."),
    Reason.UNSUPPORTED: ("本闸机尚不支持此类码。", "This gate does not support this kind of code yet."),
    Reason.SEVERAL_CODES: (
        "画面中有多个码，请只出示一个。",
        "Several codes are in view: please show just one.",
    ),
    Reason.CLOCK_UNTRUSTED: (
        "闸机时钟未校准，请等候工作人员。",
        "The gate cannot trust its clock: please wait for an attendant.",
    ),
    Reason.STATUS_STALE: (
        "闸机状态名单未更新，请等候工作人员。",
        "The gate's status list is out of date: please wait for an attendant.",
    ),
    Reason.NOT_FOUND: ("未查询到此码。", "This code was not found."),
    Reason.RESOLVER_TIMEOUT: (
        "联网查询超时，请等候工作人员。",
        "The online look-up took too long: please wait for an attendant.",
    ),
    Reason.GATE_DISABLED: (
        "本闸机已停用，请走其他通道。",
        "This gate is out of service: please use another one.",
    ),
    Reason.PLACE_CLOSED: ("本场所暂停登记。", "This place is closed."),
    Reason.STORAGE_FAILED: (
        "闸机无法保存记录，请走其他通道。",
        "The gate cannot keep a record: please use another one.",
    ),
    Reason.THERMOMETER_FAILED: ("测温失败，请等候工作人员。", "The thermometer failed: please wait for an attendant."),
}


def sentence(reason: Reason, lang: Literal["zh", "en"] = "en") -> str:
    """The sentence that people read or hear."""
    return SENTENCES[reason][0 if lang == "zh" else 1]
