//! Decisions, by the cases of Kafka's rules.

use super::*;

/// `+Topic:orders read User:alice *`: permission, resource (`^` before a prefix), operation, principal, host.
fn acls(rules: &[&str]) -> Acls {
    let mut acls = Acls::default();
    for (rule, number) in rules.iter().zip(1u8..) {
        let words: Vec<&str> = rule.split(' ').collect();
        let [resource, operation, principal, host] = words[..] else { panic!("{rule}") };
        let permission = if resource.starts_with('+') { Permission::Allow } else { Permission::Deny };
        let (kind, name) = resource[1..].split_once(':').unwrap();
        let (pattern_type, name) = match name.strip_prefix('^') {
            Some(prefix) => (PatternType::Prefixed, prefix),
            None => (PatternType::Literal, name),
        };
        let acl = Acl {
            resource_type: named(ResourceType::ALL, ResourceType::name, kind),
            resource_name: name.into(),
            pattern_type,
            principal: principal.into(),
            host: host.into(),
            operation: named(AclOperation::ALL, AclOperation::name, operation),
            permission,
        };
        acls.insert(Uuid([number; 16]), acl);
    }
    acls
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, wanted: &str) -> T {
    *all.iter().find(|value| name(**value).eq_ignore_ascii_case(wanted)).unwrap()
}

/// Checks `operation name` on topics by alice at 10.0.0.1.
#[track_caller]
fn check(rules: &[&str], asked: &str, expect: bool) {
    let (operation, resource_name) = asked.split_once(' ').unwrap();
    let access = Access {
        principal: "User:alice",
        host: "10.0.0.1",
        operation: named(AclOperation::ALL, AclOperation::name, operation),
        resource_type: ResourceType::Topic,
        resource_name,
    };
    let decision = acls(rules).decide(&Defaults::default(), &access);
    assert_eq!(decision.allowed, expect, "{rules:?} {asked}: {decision:?}");
}

#[test]
fn literal_pattern_matches_its_name_alone() {
    let rules = ["+Topic:orders read User:alice *"];
    check(&rules, "read orders", true);
    check(&rules, "read orders2", false);
    check(&rules, "read order", false);
    check(&rules, "write orders", false);
}

#[test]
fn prefixed_pattern_matches_names_that_begin_with_it() {
    let rules = ["+Topic:^ord read User:alice *"];
    for (name, expect) in [("ord", true), ("orders", true), ("or", false), ("xord", false)] {
        check(&rules, &format!("read {name}"), expect);
    }
    check(&["+Topic:^gr\u{fc} read User:alice *"], "read gr\u{fc}n", true);
    check(&["+Topic:^gr read User:alice *"], "read g", false);
}

#[test]
fn wildcard_pattern_matches_every_name() {
    check(&["+Topic:* read User:alice *"], "read anything", true);
    check(&["+Group:* read User:alice *"], "read anything", false);
}

#[test]
fn deny_wins_over_every_allow() {
    let allow = "+Topic:orders read User:alice *";
    for deny in ["-Topic:orders read User:alice *", "-Topic:^o all User:* *", "-Topic:* read User:alice 10.0.0.1"] {
        check(&[allow, deny], "read orders", false);
        check(&[deny, allow], "read orders", false);
    }
}

#[test]
fn principal_and_host_must_match() {
    check(&["+Topic:orders read User:bob *"], "read orders", false);
    check(&["+Topic:orders read User:* *"], "read orders", true);
    check(&["+Topic:orders read User:alice 10.0.0.1"], "read orders", true);
    check(&["+Topic:orders read User:alice 10.0.0.2"], "read orders", false);
    check(&["-Topic:orders read User:alice 10.0.0.2", "+Topic:orders read User:alice *"], "read orders", true);
}

#[test]
fn describe_is_implied_by_allows_and_not_by_denies() {
    for operation in ["read", "write", "delete", "alter"] {
        check(&[&format!("+Topic:orders {operation} User:alice *")], "describe orders", true);
        let deny = format!("-Topic:orders {operation} User:alice *");
        check(&[&deny, "+Topic:orders describe User:alice *"], "describe orders", true);
    }
    check(&["+Topic:orders create User:alice *"], "describe orders", false);
    check(&["+Topic:orders alter_configs User:alice *"], "describe_configs orders", true);
    check(&["+Topic:orders describe_configs User:alice *"], "alter_configs orders", false);
    check(&["+Topic:orders all User:alice *"], "alter_configs orders", true);
}

#[test]
fn super_users_and_resources_without_acls_follow_the_defaults() {
    let rules = acls(&["-Topic:orders all User:* *"]);
    let ask = |defaults: &Defaults, principal: &str, resource_name: &str| {
        let access = Access {
            principal,
            host: "10.0.0.1",
            operation: AclOperation::Read,
            resource_type: ResourceType::Topic,
            resource_name,
        };
        rules.decide(defaults, &access)
    };
    let defaults = Defaults { super_users: HashSet::from(["User:admin".to_owned()]), allow_if_no_acl: true };
    assert_eq!(ask(&defaults, "User:admin", "orders"), Decision { allowed: true, rule: Rule::SuperUser });
    assert!(!ask(&defaults, "User:alice", "orders").allowed);
    assert_eq!(ask(&defaults, "User:alice", "other"), Decision { allowed: true, rule: Rule::NoAcl });
    assert_eq!(ask(&Defaults::default(), "User:alice", "other"), Decision { allowed: false, rule: Rule::NoAcl });
    let rules = acls(&["+Topic:orders write User:bob *"]);
    let access = Access {
        principal: "User:alice",
        host: "h",
        operation: AclOperation::Read,
        resource_type: ResourceType::Topic,
        resource_name: "orders",
    };
    assert_eq!(rules.decide(&defaults, &access), Decision { allowed: false, rule: Rule::NoMatchingAcl });
}

#[test]
fn removed_acl_decides_no_more() {
    let mut rules = acls(&["+Topic:orders read User:alice *", "+Topic:orders read User:alice *"]);
    let access = Access {
        principal: "User:alice",
        host: "h",
        operation: AclOperation::Read,
        resource_type: ResourceType::Topic,
        resource_name: "orders",
    };
    let allowed = |rules: &Acls| rules.decide(&Defaults::default(), &access).allowed;
    assert!(rules.remove(Uuid([1; 16])).is_some());
    assert!(allowed(&rules), "the equal one with another id stays");
    assert!(rules.remove(Uuid([2; 16])).is_some());
    assert!(!allowed(&rules) && rules.is_empty());
    assert_eq!(rules.remove(Uuid([2; 16])), None);
}

#[test]
fn any_resource_is_allowed_unless_a_wider_deny_cancels_each_allow() {
    let check = |rules: &[&str], expect: bool| {
        let allowed = acls(rules).allows_any(
            &Defaults::default(),
            "User:alice",
            "10.0.0.1",
            AclOperation::Write,
            ResourceType::Topic,
        );
        assert_eq!(allowed, expect, "{rules:?}");
    };
    check(&[], false);
    check(&["+Topic:orders write User:alice *"], true);
    check(&["+Topic:orders read User:alice *"], false);
    check(&["+Topic:orders write User:alice *", "-Topic:* write User:alice *"], false);
    check(&["+Topic:orders write User:alice *", "-Topic:orders write User:alice *"], false);
    check(&["+Topic:orders write User:alice *", "-Topic:other write User:alice *"], true);
    check(&["+Topic:orders write User:alice *", "-Topic:^ord write User:alice *"], false);
    check(&["+Topic:^ord write User:alice *", "-Topic:^orders write User:alice *"], true);
    check(&["+Topic:^orders write User:alice *", "-Topic:^ord all User:* *"], false);
    check(&["+Topic:* write User:alice *", "-Topic:^ord write User:alice *"], true);
}

#[test]
fn codes_are_those_of_kafka() {
    assert_eq!(ResourceType::from_code(5), Some(ResourceType::TransactionalId));
    assert_eq!((AclOperation::from_code(1), AclOperation::from_code(16)), (None, None));
    assert_eq!(Permission::from_code(3).map(Permission::name), Some("ALLOW"));
    assert_eq!(PatternType::from_code(3), Some(PatternType::Literal));
}

#[test]
fn any_resource_needs_the_operation_itself_except_for_the_name_that_is_tried_first() {
    let check = |rules: &[&str], operation, expect: bool| {
        let allowed =
            acls(rules).allows_any(&Defaults::default(), "User:alice", "10.0.0.1", operation, ResourceType::Topic);
        assert_eq!(allowed, expect, "{rules:?}");
    };
    check(&["+Topic:orders write User:alice *"], AclOperation::Describe, false);
    check(&["+Topic:* write User:alice *"], AclOperation::Describe, true);
    check(&["+Topic:^hard write User:alice *"], AclOperation::Describe, true);
    check(&["+Topic:orders all User:alice *"], AclOperation::Describe, true);
}

#[test]
fn any_resource_without_acls_is_allowed_if_everyone_is_unless_acls_cover_all_names() {
    let defaults = Defaults { allow_if_no_acl: true, ..Defaults::default() };
    let check = |rules: &[&str], expect: bool| {
        let allowed = acls(rules).allows_any(&defaults, "User:alice", "h", AclOperation::Write, ResourceType::Topic);
        assert_eq!(allowed, expect, "{rules:?}");
    };
    check(&[], true);
    check(&["+Topic:orders read User:bob *"], true);
    check(&["+Topic:* read User:bob *"], false);
}

#[test]
fn wildcard_principal_matches_principals_of_every_type() {
    let rules = acls(&["+Topic:orders read User:* *"]);
    let access = Access {
        principal: "Team:a",
        host: "h",
        operation: AclOperation::Read,
        resource_type: ResourceType::Topic,
        resource_name: "orders",
    };
    assert!(rules.decide(&Defaults::default(), &access).allowed);
}

#[test]
fn filters_match_as_kafkas_do() {
    let rules = acls(&[
        "+Topic:orders read User:alice *",
        "-Topic:* write User:bob 10.0.0.1",
        "+Topic:^ord read User:bob *",
        "+Group:orders read User:alice *",
    ]);
    let any = AclFilter {
        resource_type: Matching::Any,
        resource_name: None,
        pattern_type: NameMatching::Any,
        principal: None,
        host: None,
        operation: Matching::Any,
        permission: Matching::Any,
    };
    let topic = |name: &str, pattern_type| AclFilter {
        resource_type: Matching::Only(ResourceType::Topic),
        resource_name: Some(name.into()),
        pattern_type,
        ..any.clone()
    };
    let literal = NameMatching::Only(PatternType::Literal);
    for (filter, expect) in [
        (any.clone(), &[1, 2, 3, 4][..]),
        (AclFilter { pattern_type: literal, ..any.clone() }, &[1, 2, 4]),
        (topic("orders", NameMatching::Any), &[1]),
        (topic("orders", NameMatching::Match), &[1, 2, 3]),
        (topic("or", NameMatching::Match), &[2]),
        (topic("ord", NameMatching::Any), &[3]),
        (topic("ord", literal), &[]),
        (topic("*", literal), &[2]),
        (AclFilter { principal: Some("User:bob".into()), ..any.clone() }, &[2, 3]),
        (AclFilter { host: Some("*".into()), ..any.clone() }, &[1, 3, 4]),
        (AclFilter { permission: Matching::Only(Permission::Deny), ..any.clone() }, &[2]),
        (AclFilter { operation: Matching::Unknown, ..any.clone() }, &[]),
        (AclFilter { pattern_type: NameMatching::Unknown, ..any.clone() }, &[]),
    ] {
        let mut found: Vec<u8> = rules.matching(&filter).iter().map(|(id, _)| id.0[0]).collect();
        found.sort_unstable();
        assert_eq!(found, expect, "{filter:?}");
    }
}
