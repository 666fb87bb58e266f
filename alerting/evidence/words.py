"""Words of the report, Chinese and English."""

Both = tuple[str, str]

TITLE: Both = ("超限额证据报告", "Evidence report")
SITE: Both = ("用电单位", "Site")
CREDIT: Both = ("统一社会信用代码", "Credit code")
ADDRESS: Both = ("地址", "Address")
ALERT: Both = ("告警编号", "Alert")
TEXT: Both = ("告警内容", "What fired")
METER: Both = ("电表", "Meter")
COUNT: Both = ("每计一数", "One count is")
RAW: Both = ("保存寄存器原文的抄读", "Readings with their register words")
VERDICT: Both = ("由抄读重新计算的结果", "Computed from the readings")
RULE: Both = ("规则", "Rule")
REASON: Both = ("原因", "Reason")
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
FIGURES: dict[str, Both] = {
    "start": ("起", "From"),
    "end": ("止", "To"),
    "at": ("时刻", "At"),
    "month": ("月份", "Month"),
    "demand_kw": ("区间需量 kW", "Block demand kW"),
    "contract_demand_kw": ("合同需量 kW", "Contract demand kW"),
    "energy_kwh": ("电量 kWh", "Energy kWh"),
    "quota_kwh": ("限额 kWh", "Quota kWh"),
    "used_ratio": ("已用比例", "Used, of the limit"),
    "cap_kw": ("负荷限额 kW", "Load cap kW"),
    "blocks_above": ("超限区间数", "Blocks above"),
    "hours_above": ("超限时长 h", "Hours above"),
    "kwh_above": ("超限电量 kWh", "kWh above"),
    "worst_kw": ("最大负荷 kW", "Greatest load kW"),
    "worst_at": ("最大负荷时刻", "Greatest load at"),
    "remaining_kwh": ("剩余 kWh", "Remaining kWh"),
    "coverage": ("覆盖率", "Coverage"),
    "estimated_share": ("估算占比", "Estimated share"),
    "quality": ("数据质量", "Quality"),
    "declared_by": ("申报单位", "Declared by"),
    "outcome": ("判定", "Outcome"),
    "standing": ("效力", "Standing"),
    "actual": ("单耗", "Intensity"),
    "threshold": ("限值", "Threshold"),
    "printed_threshold": ("标准所载限值", "Threshold as printed"),
    "ratio": ("与限值之比", "Ratio to the threshold"),
    "unit": ("单位", "Unit"),
    "document": ("文件", "Document"),
    "clause": ("条款", "Clause"),
    "edition": ("版本", "Edition"),
    "provenance": ("数值来源", "Provenance"),
    "grade_zh": ("等级", "Grade"),
    "allocation": ("产品分摊方法", "Allocation to products"),
    "annualised": ("折算全年方法", "Annualised by"),
    "row_name_zh": ("适用条目", "Row"),
    "denominator": ("分母", "Denominator"),
    "denominator_unit": ("分母单位", "Denominator unit"),
    "count_coverage": ("计数覆盖率", "Count coverage"),
    "period_start": ("统计期起", "Period from"),
    "period_end": ("统计期止", "Period to"),
    "days_counted": ("计入日数", "Days counted"),
    "zero_days": ("零读数日", "Zero days"),
    "kgce_per_kwh": ("折标煤系数 kgce/kWh", "Coal coefficient kgce/kWh"),
}
"""Figures of a finding that the report shows, in this order; finding.json has all."""
REASONS: dict[str, Both] = {
    "meter_not_verified": ("电表无有效检定证书", "a meter has no valid verification"),
    "coverage_below_minimum": ("数据覆盖率不足", "coverage below the minimum"),
    "much_estimated": ("估算电量过多", "too much energy is estimated"),
    "edited": ("有人工修改的电量", "the energy of a block was stated by a person"),
    "limit_not_declared": ("合同需量或限额无申报单位", "nobody declared the limit"),
    "register_words_disagree": (
        "寄存器原文与抄读值不符",
        "register words decode to other values than the readings",
    ),
    "disputed": ("企业有异议，尚未处理", "disputed and not settled"),
    "dispute_accepted": ("异议成立", "the dispute was accepted"),
    "not_in_readings": ("此类告警不能由区间电量复算", "closed blocks cannot decide this alert"),
    "metering_anomaly": (
        "计量异常仅为核查线索，须现场核实",
        "a metering anomaly is a reason to go and look, to be confirmed on the spot",
    ),
    "nothing_computed": ("抄读不足以复算", "the readings do not give the figures"),
    "threshold_not_published": ("限值非公布数值", "the threshold is not a published one"),
    "source_not_exact": ("未载明表号和页码", "no table or page is recorded"),
    "validity_not_published": ("实施日期未核实", "the day of implementation is not known"),
    "coefficient_not_published": ("折标煤系数未核实", "the coal coefficient is not published"),
    "denominator_not_declared": ("分母无申报单位", "nobody declared the denominator"),
    "not_corrected": ("未作标准允许的修正", "an allowed correction was not applied"),
    "annualised": ("由不足一年的数据折算全年", "scaled to a year from a shorter period"),
    "allocated": ("电量按份额或产量分摊", "energy was parted by share or by output"),
    "only_extrapolated": ("仅推算值超限", "only the extrapolated figure is above"),
    "electricity_only": ("仅计电力", "electricity alone was counted"),
}
"""Reasons in words; one that is not here stands as it is."""
PROVENANCES: dict[str, str] = {
    "published": "已发布 / published",
    "unverified": "未核实，非证据 / unverified, no evidence",
    "illustrative": "示例，非法定 / illustrative, no law",
}
"""Where a threshold is from."""
NO_FONT = (
    "No Chinese font was found on the machine that made this report: English only, characters "
    "it cannot show appear as '?'. The JSON files beside it hold the full text."
)
