"""Training OV-AVSS as Section 3.5 does: which query answers for which object, and what its answer costs."""
