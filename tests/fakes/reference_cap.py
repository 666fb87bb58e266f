"""A load cap's account in plain Python, block by block; shares no code."""


def account(blocks, meters, cap_kw, starts):
    """Return decided, above, kWh above, worst kW, its start, share of estimated.

    Args:
        blocks: (meter, start) -> kW or None, estimated.
        meters: the site's main meters.
        cap_kw: the cap.
        starts: of the blocks that are due, in order.
    """
    decided, above, kwh, guessed, worst = 0, 0, 0.0, 0, None
    for start in starts:
        told = [blocks[meter, start] for meter in meters if (meter, start) in blocks]
        known = [(kw, estimated) for kw, estimated in told if kw is not None]
        load = sum(kw for kw, _ in known)
        if not known or (len(known) < len(meters) and not load > cap_kw):
            continue
        decided += 1
        guessed += any(estimated for _, estimated in known)
        if load > cap_kw:
            above, kwh = above + 1, kwh + (load - cap_kw) * 0.25
        if worst is None or load > worst[0]:
            worst = (load, start)
    if not decided:
        return 0, None, None, None, None, None
    return decided, above, kwh, *worst, guessed / decided
