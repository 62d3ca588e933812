//! Subscriptions by regular expression.

use super::*;

fn matching(id: &str, regex: &str) -> Beat {
    Beat { topics: None, regex: Some(regex.to_owned()), ..joining(id, &[]) }
}

fn create(story: &mut Story, name: &str, number: u8) {
    let mut topics = story.topics.clone();
    topics.push((name.to_owned(), topic_id(number), 1));
    story.topics_are(topics);
}

#[test]
fn an_expression_is_resolved_after_the_heartbeat_that_brings_it() {
    let mut story = Story::new(&[("orders.eu", 1), ("orders.us", 1), ("other", 1)]);
    let first = story.beat(matching("a", r"orders\..*")).unwrap();
    assert_eq!((first.epoch, first.assignment), (1, Some(Assignment::new())));
    assert_eq!(story.group.epoch(), 2);
    let then = story.beat(matching("a", r"orders\..*")).unwrap();
    assert_eq!((then.epoch, then.assignment), (2, Some(assignment(&[(1, &[0]), (2, &[0])]))));
}

#[test]
fn an_expression_must_match_the_whole_name() {
    let mut story = Story::new(&[("a", 1), ("ab", 1), ("b", 1)]);
    story.beat(matching("m", "a|ab")).unwrap();
    let then = story.beat(matching("m", "a|ab")).unwrap();
    assert_eq!(then.assignment, Some(assignment(&[(1, &[0]), (2, &[0])])));
}

#[test]
fn an_unsound_expression_is_refused() {
    let mut story = Story::new(&[("t", 1)]);
    for regex in ["(", "a)|(b", "*", r"(?=a)", r"\1", "a{1000000}{1000}"] {
        let refused = story.beat(matching("a", regex));
        assert_eq!(refused, Err(ErrorCode::INVALID_REGULAR_EXPRESSION), "{regex}");
    }
    assert_eq!(story.group.state(), "Empty");
}

#[test]
fn new_topics_are_found_ten_seconds_after_the_last_look() {
    let mut story = Story::new(&[("t1", 1)]);
    story.beat(matching("a", "t.")).unwrap();
    story.beat(bare("a", 0)).unwrap_or_default();
    story.beat(matching("a", "t.")).unwrap();
    create(&mut story, "t2", 2);
    story.pass(10_000);
    story.beat(bare("a", 2)).unwrap();
    assert_eq!(story.group.epoch(), 2, "too early");
    story.pass(1);
    story.beat(bare("a", 2)).unwrap();
    assert_eq!(story.group.epoch(), 3, "found after this heartbeat");
    let told = story.beat(bare("a", 2)).unwrap();
    assert_eq!((told.epoch, told.assignment), (3, Some(assignment(&[(1, &[0]), (2, &[0])]))));
}

#[test]
fn a_known_expression_of_another_member_counts_at_once() {
    let mut story = Story::new(&[("t1", 1), ("t2", 1)]);
    story.beat(matching("a", "t.")).unwrap();
    story.beat(matching("a", "t.")).unwrap();
    let second = story.beat(matching("b", "t.")).unwrap();
    assert_eq!((second.epoch, story.group.epoch()), (3, 3));
    assert_eq!(story.member("b").state, MemberState::UnreleasedPartitions);
}

#[test]
fn names_and_an_expression_add_up_and_both_may_go() {
    let mut story = Story::new(&[("t1", 1), ("t2", 1), ("u", 1)]);
    let both = Beat { regex: Some("t.".into()), ..joining("a", &["u"]) };
    let first = story.beat(both.clone()).unwrap();
    assert_eq!((first.epoch, first.assignment), (2, Some(assignment(&[(3, &[0])]))), "the names are known");
    let then = story.beat(bare("a", 2)).unwrap();
    assert_eq!((then.epoch, then.assignment), (3, Some(assignment(&[(1, &[0]), (2, &[0]), (3, &[0])]))));
    let none = Beat { regex: Some(String::new()), owned: Some(assignment(&[(3, &[0])])), ..bare("a", 3) };
    let names = story.beat(none).unwrap();
    assert_eq!((names.epoch, names.assignment), (4, Some(assignment(&[(3, &[0])]))));
    assert!(story.group.regexes.is_empty(), "nobody needs it any more");
}
