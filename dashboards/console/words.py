"""The words of the screens, Chinese and English: design section 2's terms and no others."""

from dataclasses import dataclass

from dashboards.console.reasons import COLUMNS, REASONS
from dashboards.console.words_fleet import FLEET_WORDS
from dashboards.console.words_indices import INDEX_WORDS
from dashboards.console.words_month import MONTH_WORDS

LANGUAGES = ("zh", "en")

WORDS: dict[str, tuple[str, str]] = {
    **INDEX_WORDS,
    **MONTH_WORDS,
    "brand": ("用电需求侧监测", "Demand watch"),
    "city": ("全市", "City"),
    "site": ("用电单位", "Site"),
    "sites": ("用电单位", "Sites"),
    "alerts": ("告警", "Alerts"),
    "site_time": ("现场时间", "Site time"),
    "other_language": ("EN", "中文"),
    "wall": ("大屏", "Wall"),
    "desk": ("桌面", "Desk"),
    "kind_factory": ("工厂", "Factory"),
    "kind_retail": ("商场", "Retail"),
    "kind_lodging": ("住宿", "Lodging"),
    "kind_catering": ("餐饮", "Catering"),
    "kind_office": ("办公", "Office"),
    "load_now": ("当前负荷", "Load now"),
    "energy_today": ("今日电量", "Energy today"),
    "energy_day": ("当日电量", "Energy of the day"),
    "block_max_today": ("今日最大区间需量", "Maximum block demand"),
    "active_alerts": ("活动告警", "Active alerts"),
    "meters_heard": ("在线电表", "Meters heard"),
    "silent": ("静默", "silent"),
    "heard": ("在线", "heard"),
    "never": ("从未上报", "never heard"),
    "load_curve": ("负荷曲线", "Load curve"),
    "today": ("今日", "Today"),
    "yesterday": ("昨日", "Yesterday"),
    "day_before": ("前一日", "Day before"),
    "same_time": ("较昨日", "vs. yesterday"),
    "coverage": ("覆盖率", "coverage"),
    "estimated": ("估算", "estimated"),
    "estimated_share": ("估算占比", "estimated share"),
    "interpolated": ("内插", "interpolated"),
    "measured": ("实测", "measured"),
    "missing": ("缺失", "missing"),
    "partial": ("部分覆盖", "partly covered"),
    "no_data": ("无数据", "no data"),
    "contract_demand": ("合同需量", "Contract demand"),
    "projected": ("预计", "projected"),
    "projected_demand": ("预计区间需量", "Projected block demand"),
    "projected_range": ("八成区间", "80 % range"),
    "running_block": ("当前区间", "Running block"),
    "still_allowed": ("本区间余下时间可用", "Allowed for the rest of the block"),
    "passed": ("已超合同需量", "contract demand passed"),
    "headroom": ("余量", "headroom"),
    "reduce_by": ("需压降", "shed at least"),
    "energy_so_far": ("本区间已用", "so far in the block"),
    "time_left": ("剩余", "time left"),
    "power_now": ("当前功率", "Power now"),
    "no_contract": ("未登记合同需量", "no contract demand declared"),
    "quota_month": ("月度定额", "Monthly quota"),
    "quota_year": ("年度定额", "Yearly quota"),
    "burn_down_year": ("年度定额进度", "Yearly quota burn-down"),
    "projected_year": ("预计全年", "Projected year"),
    "season_year_before": ("按本单位上年季节", "by its own season of the year before"),
    "season_none": ("无上年数据，未计季节", "no year before: no season expected"),
    "cap": ("负荷限额", "Load cap"),
    "cap_kept": ("本月未超限额", "not exceeded this month"),
    "cap_above": ("超限", "above for"),
    "cap_worst": ("最大负荷", "greatest load"),
    "cap_unknown": ("无已判区间", "no block decided"),
    "cap_none": ("本月无负荷限额", "none binds this month"),
    "quota_used": ("定额已用", "Quota used"),
    "used": ("已用", "used"),
    "burn_down": ("月度定额进度", "Monthly quota burn-down"),
    "even_pace": ("匀速线", "even pace"),
    "cumulative": ("累计电量", "Cumulative energy"),
    "crosses": ("预计超定额", "crosses the quota"),
    "crossed": ("已超定额", "quota crossed"),
    "stays_within": ("预计不超定额", "stays within the quota"),
    "no_quota": ("未登记月度定额", "no monthly quota declared"),
    "range": ("区间", "range"),
    "projected_month": ("预计全月", "Projected month"),
    "surcharge": ("加价（测算）", "Surcharge (simulated)"),
    "intensity": ("单耗", "Intensity"),
    "guide": ("能耗指引", "Guide"),
    "against_guide": ("单耗对照能耗指引", "Intensity against the guide"),
    "no_verdict": ("尚无判定", "no verdict yet"),
    "verdict": ("判定", "Verdict"),
    "outcome_within": ("达标", "within"),
    "outcome_advanced": ("先进", "advanced"),
    "outcome_overrun": ("超限额", "overrun"),
    "outcome_undecided": ("未判定", "undecided"),
    "standing_evidence": ("证据", "evidence"),
    "standing_clue": ("线索", "clue"),
    "level_limit": ("约束值", "limit"),
    "level_constraint": ("约束值", "constraint"),
    "level_access": ("准入值", "access"),
    "level_advanced": ("先进值", "advanced"),
    "illustrative": ("示例", "illustrative"),
    "unverified": ("未核实", "unverified"),
    "published": ("已发布", "published"),
    "derived": ("推导", "derived"),
    "own_meters": ("分表计量", "own meters"),
    "remainder": ("总表减分表", "main meters less sub-meters"),
    "declared_share": ("按申报份额分摊", "by declared share"),
    "output_by_quota": ("按产量×定额分摊", "by output × quota"),
    "threshold": ("限值", "threshold"),
    "ratio": ("比值", "ratio"),
    "period": ("统计期", "period"),
    "meters": ("电表", "Meters"),
    "meter": ("电表", "Meter"),
    "role_main": ("总表", "main"),
    "role_sub": ("分表", "sub-meter"),
    "role_export": ("上网表", "export"),
    "role_generation": ("发电表", "generation"),
    "role_charge": ("储能充电表", "storage charge"),
    "role_discharge": ("储能放电表", "storage discharge"),
    "role_weather": ("气象站", "weather station"),
    "role_count": ("产量计数器", "counter of output"),
    "last_reading": ("末次抄读", "Last reading"),
    "verification": ("检定", "Verification"),
    "valid_until": ("有效期至", "valid until"),
    "expired": ("已过期", "expired"),
    "not_verified": ("未登记", "not on file"),
    "source": ("来源", "Source"),
    "ago": ("前", "ago"),
    "name": ("名称", "Name"),
    "district": ("辖区", "District"),
    "kind": ("类别", "Kind"),
    "all": ("全部", "All"),
    "active": ("活动", "Active"),
    "pending": ("待确认触发", "pending"),
    "firing": ("触发中", "firing"),
    "resolved": ("已恢复", "resolved"),
    "what": ("内容", "What"),
    "edition": ("版本", "edition"),
    "crossing_and_used": ("超定额时间 · 定额已用", "Crossing · quota used"),
    "open": ("未确认", "open"),
    "dispute_accepted": ("申诉成立", "dispute accepted"),
    "dispute_rejected": ("申诉驳回", "dispute rejected"),
    "this_day": ("当日", "this day"),
    "at": ("时间", "at"),
    "projected_of_contract": ("预计 / 合同需量", "Projected of contract"),
    "mains_heard": ("在线总表", "main meters heard"),
    "latest_data": ("最近数据", "latest data"),
    "of_contract": ("占合同需量", "of contract"),
    "block_max_day": ("当日最大区间需量", "Maximum block demand"),
    "role": ("用途", "Role"),
    "handling": ("处置", "Handling"),
    "acknowledged": ("已确认", "acknowledged"),
    "disputed": ("已申诉", "disputed"),
    "closed": ("已结案", "closed"),
    "severity": ("级别", "Severity"),
    "critical": ("严重", "critical"),
    "warning": ("警告", "warning"),
    "info": ("提示", "info"),
    "state": ("状态", "State"),
    "since": ("起始", "Since"),
    "rule": ("规则", "Rule"),
    "subject": ("对象", "Subject"),
    "timeline": ("时间线", "Timeline"),
    "actor": ("经办", "Actor"),
    "acknowledge": ("确认告警", "Acknowledge"),
    "your_name": ("姓名", "Your name"),
    "note": ("备注", "Note"),
    "name_needed": ("请填写姓名", "Please give your name"),
    "values": ("触发时数值", "Values when fired"),
    "evidence": ("证据包", "Evidence package"),
    "download": ("下载", "Download"),
    "choose_alert": ("选择一条告警查看时间线", "Choose an alert to see its timeline"),
    "all_quiet": ("无活动告警", "No active alerts"),
    "no_alerts": ("没有符合条件的告警", "No alerts match"),
    "search": ("搜索名称或编号", "Find by name or id"),
    "shown_of": ("显示", "showing"),
    "of": ("/", "of"),
    "stale_page": ("连接中断，数字可能过时", "Connection lost, figures may be old"),
    "unknown_site": ("没有这个用电单位", "There is no such site"),
    "back": ("返回全市", "Back to the city"),
    "readings_s": ("抄读/秒", "readings/s"),
    "lag": ("积压", "backlog"),
    "stopped": ("采集停止", "no readings"),
    "act_pending": ("待触发", "pending"),
    "act_fired": ("触发", "fired"),
    "act_resolved": ("恢复", "resolved"),
    "act_notified": ("发出通知", "notified"),
    "act_delivered": ("已送达", "delivered"),
    "act_failed": ("送达失败", "delivery failed"),
    "act_acknowledged": ("确认", "acknowledged"),
    "act_disputed": ("申诉", "disputed"),
    "act_dispute_accepted": ("申诉成立", "dispute accepted"),
    "act_dispute_rejected": ("申诉驳回", "dispute rejected"),
    "act_closed": ("结案", "closed"),
    "act_evidence_exported": ("导出证据包", "evidence exported"),
    "why_load": (
        "各总表当前功率之和；只计在线电表",
        "Sum of the main meters' present power; meters that are heard only",
    ),
    "why_energy": (
        "已结束区间电量之和；缺失区间不计为零，见覆盖率",
        "Sum of the ended blocks' energy; missing blocks are not zero, see coverage",
    ),
    "why_peak": (
        "区间需量 = 区间电量 / 0.25 h，取当日最大",
        "Block demand = energy of the block / 0.25 h; greatest of the day",
    ),
    "why_fleet": (
        "在线 = 末次抄读未超过静默时限",
        "Heard = last reading is younger than the silence limit",
    ),
    "why_allowed": (
        "(合同需量 × 0.25 h − 本区间已用电量) / 剩余时间",
        "(contract demand x 0.25 h - energy so far) / time left",
    ),
    "unknown_running": (
        "并非所有总表在同一区间内在线，无法计算",
        "not every main meter is heard in the same block: cannot be told",
    ),
}
"""Key -> (Chinese, English)."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words in one language."""

    language: str
    """`zh` or `en`."""

    def __call__(self, key: str) -> str:
        """Return the words for `key`; a key the table lacks is shown as it is."""
        pair = WORDS.get(key) or REASONS.get(key) or FLEET_WORDS.get(key)
        return key if pair is None else pair[LANGUAGES.index(self.language)]

    def column(self, name: str) -> str:
        """Return the words for a column of a row; its own name if it has none."""
        pair = COLUMNS.get(name)
        return name if pair is None else pair[LANGUAGES.index(self.language)]

    @property
    def other(self) -> str:
        """The language to switch to."""
        return "en" if self.language == "zh" else "zh"

    def pick(self, text: object) -> str:
        """Return the right half of a label with `zh` and `en`; any other text as it is."""
        return str(getattr(text, self.language, text))


def words(language: str) -> Words:
    """Return the words of `language`, Chinese if it is not one of LANGUAGES."""
    return Words(language if language in LANGUAGES else "zh")
