"""XAFS, the fine structure of an X-ray absorption edge: what a scan's text says, which points that makes, and the plan.

Energies are in eV, times in seconds, wave numbers of the photoelectron in Å⁻¹.
"""
