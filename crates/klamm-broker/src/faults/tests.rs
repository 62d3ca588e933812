use super::*;

fn take(faults: &Faults, api: Api, client_id: &str, topic: &str) -> Option<Fault> {
    faults.take(api, client_id, || vec![topic.to_owned()])
}

#[test]
fn faults_are_used_up_in_order_by_api_client_and_topic() {
    let faults = Faults::default();
    faults.inject(Api::Produce, 2, Fault::CloseBefore);
    faults.inject(Api::Produce, 1, Fault::CloseAfter);
    faults.inject_for_client("only", Api::Fetch, 1, Fault::CloseBefore);
    let of_topic = faults.add(FaultRule::new(Fault::DropAnswer).topic("t"));
    assert_eq!(take(&faults, Api::Fetch, "other", "u"), None);
    assert_eq!(take(&faults, Api::Fetch, "only", "u"), Some(Fault::CloseBefore));
    let all: Vec<_> = std::iter::from_fn(|| take(&faults, Api::Produce, "any", "u")).collect();
    assert_eq!(all, [Fault::CloseBefore, Fault::CloseBefore, Fault::CloseAfter]);
    assert_eq!(take(&faults, Api::Metadata, "", "t"), Some(Fault::DropAnswer));
    assert_eq!((of_topic.hits(), of_topic.left(), faults.hits()), (1, None, 5));
    of_topic.remove();
    assert_eq!(take(&faults, Api::Metadata, "", "t"), None);
    assert!(faults.list().is_empty());
}

#[test]
fn the_same_seed_strikes_the_same_requests_about_as_often_as_it_says() {
    let struck = |seed| {
        let faults = Faults::default();
        let rule = faults.add(FaultRule::new(Fault::CloseBefore).probability(0.25).seed(seed));
        let struck: Vec<_> = (0..4_000).map(|_| take(&faults, Api::Fetch, "", "").is_some()).collect();
        let hits = rule.hits();
        assert!((800..1_200).contains(&hits), "seed {seed}: {hits}");
        struck
    };
    assert_eq!(struck(1), struck(1));
    assert_ne!(struck(1), struck(2));
    let faults = Faults::default();
    faults.add(FaultRule::new(Fault::CloseBefore).probability(0.0).seed(1));
    assert_eq!(take(&faults, Api::Fetch, "", ""), None);
    faults.add(FaultRule::new(Fault::CloseBefore).probability(1.0).seed(1));
    assert!(take(&faults, Api::Fetch, "", "").is_some());
}

#[test]
fn rules_are_told_in_words_and_forgotten() {
    let faults = Faults::default();
    let rule = FaultRule::new(Fault::Error(ErrorCode::NOT_COORDINATOR))
        .api(Api::Heartbeat)
        .client_id("shop")
        .topic("orders")
        .times(3);
    let handle = faults.add(rule);
    let told = faults.list().remove(0);
    assert_eq!((told.id, told.hits, told.left, told.seed), (1, 0, Some(3), None));
    assert!(told.rule.ends_with("to Heartbeat of client shop on topic orders, 3 times"), "{}", told.rule);
    faults.clear();
    assert!(faults.list().is_empty());
    assert_eq!(handle.left(), Some(3));
    faults.inject(Api::Fetch, 0, Fault::CloseAfter);
    assert!(faults.list().is_empty(), "no times are none");
}

#[test]
fn every_coordinated_request_is_an_api_or_will_be_one() {
    let known = Api::ALL.iter().filter(|api| COORDINATED.contains(&api.name())).count();
    assert!(known >= 12, "{known}");
}
