"""The photos of training: which are learnt from, as numbers in memory or on disk, and how chance changes them."""
