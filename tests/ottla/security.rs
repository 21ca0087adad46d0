//! Requests about ACLs without an authorizer, and descriptions of client quotas and SCRAM credentials.

use ottla_wire::protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_wire::protocol::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use ottla_wire::protocol::messages::describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, UserName};

use crate::fixture::{Fixture, code, text};

#[tokio::test]
async fn acl_requests_without_an_authorizer_return_security_disabled() {
    let fixture = Fixture::start().await;
    for version in 0..=3 {
        let filter =
            DescribeAclsRequest { resource_type_filter: 1, operation: 1, permission_type: 1, ..Default::default() };
        let response = fixture.client.call_at(filter, version).await.unwrap();
        let message = response.error_message.unwrap();
        assert_eq!(
            (code(response.error_code), &*message),
            ("SECURITY_DISABLED", "No Authorizer is configured on the broker")
        );

        let acl = AclCreation {
            resource_type: 2,
            resource_name: text("t"),
            operation: 3,
            permission_type: 3,
            ..Default::default()
        };
        let request = CreateAclsRequest { creations: vec![acl.clone(), acl] };
        let response = fixture.client.call_at(request, version).await.unwrap().results;
        let response: Vec<_> = response.iter().map(|it| (code(it.error_code), it.error_message.as_deref())).collect();
        assert_eq!(response, [("SECURITY_DISABLED", Some("No Authorizer is configured.")); 2]);

        let filter =
            DeleteAclsFilter { resource_type_filter: 2, operation: 1, permission_type: 1, ..Default::default() };
        let request = DeleteAclsRequest { filters: vec![filter.clone(), filter] };
        let response = fixture.client.call_at(request, version).await.unwrap().filter_results;
        let response: Vec<_> = response.iter().map(|it| (code(it.error_code), it.error_message.as_deref())).collect();
        assert_eq!(response, [("SECURITY_DISABLED", Some("No Authorizer is configured.")); 2]);
    }
}

#[tokio::test]
async fn describe_client_quotas_checks_filters_and_returns_none() {
    let fixture = Fixture::start().await;
    let (exact, default, any) = (0, 1, 2);
    for (components, expect) in [
        (&[][..], "NONE "),
        (&[("user", any, None)], "NONE "),
        (&[("user", exact, Some("a")), ("client-id", default, None)], "NONE "),
        (&[("ip", any, None)], "NONE "),
        (&[("", any, None)], "INVALID_REQUEST Invalid empty entity type."),
        (&[("foo", any, None)], "UNSUPPORTED_VERSION Unsupported entity type foo"),
        (
            &[("user", any, None), ("user", any, None)],
            "INVALID_REQUEST Entity type user cannot appear more than once in the filter.",
        ),
        (
            &[("user", any, None), ("ip", any, None)],
            "INVALID_REQUEST Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component.",
        ),
        (&[("user", exact, None)], "INVALID_REQUEST Request specified MATCH_TYPE_EXACT, but set match string to null."),
        (
            &[("user", default, Some("a"))],
            "INVALID_REQUEST Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
        ),
        (
            &[("user", any, Some("a"))],
            "INVALID_REQUEST Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.",
        ),
        (&[("user", 5, None)], "INVALID_REQUEST Unknown match type 5"),
    ] {
        let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| ComponentData {
            entity_type: text(kind),
            match_type: *match_type,
            r#match: name.map(text),
        };
        let request =
            DescribeClientQuotasRequest { components: components.iter().map(component).collect(), strict: false };
        for version in 0..=1 {
            let response = fixture.client.call_at(request.clone(), version).await.unwrap();
            assert_eq!(format!("{} {}", code(response.error_code), response.error_message.unwrap()), expect);
            assert_eq!(
                response.entries.is_some_and(|entries| entries.is_empty()),
                response.error_code == 0,
                "{expect}"
            );
        }
    }
}

#[tokio::test]
async fn describe_scram_credentials_of_an_unknown_user_returns_resource_not_found() {
    let fixture = Fixture::start().await;
    let unknown =
        |name| format!("{name} RESOURCE_NOT_FOUND Attempt to describe a user credential that does not exist: {name}");
    let twice = "a DUPLICATE_RESOURCE Cannot describe SCRAM credentials for the same user twice in a single request: a";
    for (users, expect) in
        [(None, vec![]), (Some(&[][..]), vec![]), (Some(&["b", "a", "a"]), vec![twice.to_owned(), unknown("b")])]
    {
        let users: Option<Vec<_>> = users.map(|users| users.iter().map(|name| UserName { name: text(name) }).collect());
        let response = fixture.client.call(DescribeUserScramCredentialsRequest { users }).await.unwrap();
        assert_eq!((code(response.error_code), response.error_message.as_deref()), ("NONE", Some("")));
        let results = response.results.iter();
        let results: Vec<_> = results
            .map(|it| {
                format!("{} {} {}", it.user, code(it.error_code), it.error_message.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(results, expect);
    }
}
