"""Published rules of other autoscalers of nodes, for comparison.

They pack pods with gyrus's code, and differ from gyrus's planner in what they know, when they act, and
where they buy.
"""
