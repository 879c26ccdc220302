"""Losses by idea."""
