use super::*;

fn confusion([both_good, person_good, judge_good, both_bad]: [u64; 4]) -> Confusion {
    Confusion { both_good, judge_good, person_good, both_bad }
}

#[track_caller]
fn near(figure: Figure, want: [f64; 3]) {
    let found = [figure.value, figure.low, figure.high].map(|v| v.expect("a figure"));
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() < 1e-9, "{found} {want}");
    }
}

/// statsmodels 0.14 (`cohens_kappa`, `proportion_confint`) and scipy 1.16 (`pearsonr`), cells: both good, person good alone, judge
/// good alone, both bad. kf cuts an interval of kappa at 1, which the formula passes in the fourth.
#[test]
fn figures_are_those_of_statsmodels_and_scipy() {
    for (cells, kappa, mcc, sensitivity, specificity) in [
        (
            [40, 5, 6, 29],
            [0.7197452229299364, 0.5661155625651523, 0.8733748832947205],
            [0.7199789349052254, 0.5942706217034531, 0.811347519949843],
            [40.0 / 45.0, 0.765009030042314, 0.9515952820543281],
            [29.0 / 35.0, 0.6731771770095504, 0.9189735994629841],
        ),
        (
            [20, 5, 10, 15],
            [0.4, 0.151092290476661, 0.6489077095233389],
            [0.4082482904638629, 0.14655426267955923, 0.6165359576277812],
            [0.8, 0.6086904963045966, 0.9113941531319744],
            [0.6, 0.40739457358966996, 0.7659669762225203],
        ),
        (
            [90, 4, 5, 1],
            [0.1346153846153857, -0.18309662131046883, 0.4523273905412402],
            [0.13524203070138519, -0.06284551428588346, 0.3230779115541776],
            [90.0 / 94.0, 0.8956435421811827, 0.9833294518499572],
            [1.0 / 6.0, 0.030053369748306635, 0.5635028221864703],
        ),
        (
            [25, 0, 3, 22],
            [0.88, 0.7492977740690436, 1.0],
            [0.8864052604279182, 0.807222694876152, 0.9342472095069078],
            [1.0, 0.8668077490609515, 1.0],
            [0.88, 0.7004420607907267, 0.9583318284955964],
        ),
        (
            [0, 7, 3, 40],
            [-0.09170305676855788, -0.16924982517323095, -0.0141562883638848],
            [-0.10193574248633056, -0.36979116141125234, 0.18156358519840993],
            [0.0, 0.0, 0.3543304350666875],
            [40.0 / 43.0, 0.8139101309875801, 0.9759884104227855],
        ),
    ] {
        let found = confusion(cells).agreement();
        near(found.kappa, kappa);
        near(found.mcc, mcc);
        near(found.sensitivity, sensitivity);
        near(found.specificity, specificity);
    }
}

#[test]
fn agreement_alone_proves_nothing() {
    // Both call nearly everything good: 95 % agreement, kappa near 0.
    let kind = confusion([190, 5, 5, 0]).agreement();
    assert!(kind.agreement.value.is_some_and(|a| (a - 0.95).abs() < 1e-12));
    assert!(kind.refused().is_some_and(|why| why == "its kappa with people is -0.03, needed is 0.6"), "{kind:?}");
    assert_eq!(
        confusion([50, 0, 0, 0]).agreement().refused().as_deref(),
        Some("its labels are all the same, so agreement proves nothing")
    );
    assert_eq!(confusion([9, 0, 0, 10]).agreement().refused().as_deref(), Some("19 labels say nothing of it, 20 are needed"));
    assert_eq!(confusion([10, 0, 0, 10]).agreement().refused(), None);
    assert_eq!(confusion([0, 0, 0, 0]).agreement().kappa, Figure::default());
    let none_good = confusion([0, 0, 3, 20]).agreement();
    assert_eq!((none_good.sensitivity, none_good.mcc), (Figure::default(), Figure::default()));
}
