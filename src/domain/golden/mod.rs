//! Golden datasets.
