"""Faults against a whole site of real processes: kills, stalls, full disks, power cuts, cut links, and more.

gatelight-sandbox faults --rounds 20 --seed 1
"""
