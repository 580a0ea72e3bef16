"""Mapping and its rules, the mapper, placement, the schedule of passes: data, no clock."""
