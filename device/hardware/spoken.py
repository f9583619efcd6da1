"""Everything that a voice must be able to say: an installer records these sentences, or has them made."""

from collections.abc import Mapping
from typing import Final

SPOKEN: Final[Mapping[str, tuple[str, str]]] = {
    "admit": ("请通行。", "Please pass."),
    "admit_notice": ("请通行，并查看手机提示。", "Please pass, and see the notice on your phone."),
    "wait": ("请稍候，工作人员会协助您。", "Please wait: an attendant will help you."),
    "refuse": ("请勿通行，工作人员将协助您。", "Please do not enter: an attendant will help you."),
    "again": ("请刷新后再出示一次。", "Please refresh your code and show it again."),
    "closed": ("此通道暂停使用。", "This gate is out of service."),
    "looking": ("正在查询，请稍候。", "One moment, please."),
    "words": ("请核对四个词。", "Please compare the four words."),
    "enrolled": ("设置完成。", "The gate is set up."),
    "failed": ("设置未完成。", "The gate is not set up."),
}
"""What a voice says, Chinese and English, by the prompt's name."""
