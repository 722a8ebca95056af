"""Plans and device classes of beamline 7."""
