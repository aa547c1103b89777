//! Evaluation: scores of one version on one golden dataset, kept with their intervals, and the gates that read them.

pub mod html;
pub mod junit;
pub mod record;
pub mod view;
