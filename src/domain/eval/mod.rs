//! Evaluation: scores of one version on one golden dataset, kept with their intervals, and the gates that read them.

pub mod attempts;
pub mod check;
pub mod compare;
pub mod gate;
pub mod html;
pub mod judged;
pub mod junit;
pub mod known;
pub mod marks;
pub mod metrics;
pub mod proxy;
pub mod record;
pub mod score;
pub mod slice;
pub mod suite;
pub mod view;
