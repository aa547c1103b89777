//! Pure numerics on slices: no files, no thresholds, no verdicts.
