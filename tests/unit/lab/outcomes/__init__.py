"""For each case: data that never were, and the verdicts that they must bring. See ``test_lab_verdicts.py``."""
