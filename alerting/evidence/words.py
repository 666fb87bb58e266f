"""Words of the report, Chinese and English."""

Both = tuple[str, str]

TITLE: Both = ("超限额证据报告", "Evidence report")
SITE: Both = ("用电单位", "Site")
CREDIT: Both = ("统一社会信用代码", "Credit code")
ADDRESS: Both = ("地址", "Address")
ALERT: Both = ("告警编号", "Alert")
TEXT: Both = ("告警内容", "What fired")
METER: Both = ("电表", "Meter")
VERDICT: Both = ("由抄读重新计算的结果", "Computed from the readings")
RULE: Both = ("规则", "Rule")
REASON: Both = ("只作线索的原因", "Why only a clue")
CURVE: Both = ("负荷曲线（15 分钟区间需量）", "Load curve (15-minute block demand)")
TIMELINE: Both = ("经过", "Timeline")
CUSTODY: Both = ("出处", "Custody")
ABOUT: dict[str, Both] = {
    "exported_at": ("导出时间", "Exported at"),
    "exported_by": ("导出人", "Exported by"),
    "software": ("软件版本", "Software"),
    "key": ("封印密钥", "Sealing key"),
    "ledger": ("账本位置", "Ledger position"),
}
OUTCOMES: dict[str, Both] = {
    "overrun": ("判定：超限额", "Verdict: overrun"),
    "within": ("判定：未超限额（已更正）", "Verdict: within (corrected since)"),
    "undecided": ("判定：不能判定", "Verdict: undecided"),
}
STANDINGS: dict[str, Both] = {
    "evidence": ("（证据）", " (evidence)"),
    "clue": ("（线索，不作证据）", " (a clue, not evidence)"),
    "": ("", ""),
}
NO_FONT = (
    "No Chinese font was found on the machine that made this report: English only, characters "
    "it cannot show appear as '?'. The JSON files beside it hold the full text."
)
