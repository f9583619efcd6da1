"""What an alert is called, and what to do then: for people at a gate, in Chinese and English. Pure.

The wording of a red follows what the regulations ask of a place (P8): dissuade, isolate for the time being, report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from protocol.terms import Colour

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence in both languages."""

    zh: str
    en: str

    def into(self, language: str) -> str:
        """In the reader's."""
        return self.zh if language == "zh" else self.en


TITLES: Final[Mapping[str, Said]] = {
    "red": Said("红码", "Red code"),
    "device.offline": Said("扫码机离线", "Scanner offline"),
    "device.camera": Said("摄像头无画面", "Camera stalled"),
    "device.spool": Said("登记记录积压未上传", "Check-ins are not coming through"),
    "device.clock": Said("扫码机时钟不准", "Scanner's clock is wrong"),
    "device.certificate": Said("扫码机证书即将到期", "Scanner's certificate is ending"),
    "device.storage": Said("扫码机存储故障", "Scanner's storage has failed"),
    "device.update": Said("扫码机更新失败", "Scanner's update has failed"),
    "site.broker": Said("消息服务器断开", "Message broker out of reach"),
    "site.platform": Said("上级平台联系不上或数据积压", "Platform out of reach, or records are piling up"),
    "site.rollout": Said("固件分批更新已停止", "Rollout of firmware has halted"),
}
"""Every kind of alert. The names never change: they stand in the database."""

_CALL: Final = Said(
    "立即电话报告所在社区（村）；按其要求再报行业主管部门和县级指挥部。",
    "Call the community or village at once; then, as they say, the trade's regulator and the county headquarters.",
)

STEPS: Final[Mapping[str, tuple[Said, ...]]] = {
    "red": (
        Said(
            "礼貌劝阻，不予进入；请其佩戴口罩，与他人保持距离。",
            "Dissuade politely; do not let them in. Mask on, and a distance from others.",
        ),
        Said(
            "引导至临时隔离点等候，由专人看护，不得自行离开。",
            "Lead them to the place for temporary isolation; somebody stays with them, and they do not leave alone.",
        ),
        _CALL,
        Said(
            "把凭证号告诉本人，对颜色有异议可凭此申诉；不要追问病情，不要拍照。",
            "Give them the slip number: with it they can appeal. Do not ask about their health, take no pictures.",
        ),
    ),
    "device.offline": (
        Said(
            "到闸机前查看电源和网线；引导人流走其他通道。",
            "Look at its power and network cable; send people to another gate.",
        ),
        Said(
            "离线期间登记记录保存在扫码机上，恢复后自动补传，不会丢失。",
            "It keeps what it records and sends it by itself later: nothing is lost.",
        ),
    ),
    "device.camera": (
        Said(
            "擦净镜头，检查遮挡；不行就在“扫码机”页重启。",
            "Clean the lens, see what covers it; or restart it from the page Scanners.",
        ),
    ),
    "device.spool": (
        Said(
            "检查扫码机到服务器的网络；不要断电，记录还在扫码机上。",
            "Check its network; do not cut its power, the records are still in it.",
        ),
    ),
    "device.clock": (
        Said(
            "检查网络对时；时钟可信之前，动态码一律显示灰灯。",
            "Check how it gets the time; until then live codes are grey.",
        ),
    ),
    "device.certificate": (
        Said("扫码机应能自动续期；请检查它到服务器的网络。", "It should renew it by itself: check its way to the hub."),
    ),
    "device.storage": (
        Said(
            "该闸机已停止放行，请走其他通道，并更换存储卡。", "It admits nobody: use another gate, and change its card."
        ),
    ),
    "device.update": (
        Said(
            "该扫码机继续运行原版本，照常放行；请勿断电，在“扫码机”页查看失败原因。",
            "It goes on with the version that it had, and serves people: look on its page why the new one failed.",
        ),
    ),
    "site.broker": (
        Said(
            "检查消息服务器和网络；各闸机继续离线判码并保存记录。",
            "Check the broker and the network; gates go on deciding and keep their records.",
        ),
    ),
    "site.platform": (
        Said(
            "检查到上级平台的网络；记录保存在本站，恢复后自动上报。",
            "Check the way to the platform; records are kept here and sent later.",
        ),
    ),
    "site.rollout": (
        Said(
            "没有更多扫码机会收到该版本。在“固件”页查看哪些失败、为何失败，再决定继续或取消。",
            "No further scanner is told. See on the page Firmware which failed and why; then resume or cancel it.",
        ),
    ),
}

AT_THE_GATE: Final[Mapping[Colour, tuple[Said, ...]]] = {
    Colour.GREEN: (Said("放行。", "Let them pass."),),
    Colour.NOTICE: (
        Said(
            "请其查看手机上的提示并办理；由您决定是否放行。",
            "Have them read and settle the notice on their phone; you decide whether they pass.",
        ),
    ),
    Colour.YELLOW: (
        Said(
            "请到一旁等候，核对身份和居家观察情况；按场所规定决定。",
            "Ask them to wait aside and check what they are told to keep; decide by the place's rules.",
        ),
        Said(
            "不予进入的，告知社区，并把凭证号给本人。",
            "If they may not enter, tell the community, and give them the slip number.",
        ),
    ),
    Colour.RED: STEPS["red"],
    Colour.GREY: (
        Said(
            "灰灯不是红码：是闸机暂时无法判断。请刷新二维码重扫，或人工登记。",
            "Grey is not red: the gate cannot know. Refresh the code and scan again, or register by hand.",
        ),
    ),
}
"""What an attendant does at each light."""


def title_of(kind: str, language: str) -> str:
    """What an alert of this kind is called."""
    return TITLES[kind].into(language)


def steps_of(kind: str, language: str) -> list[str]:
    """What to do, in order."""
    return [step.into(language) for step in STEPS[kind]]
