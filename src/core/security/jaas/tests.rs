use super::*;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

fn options(module: &LoginModule) -> Vec<(&str, &str)> {
    let mut options: Vec<_> = module.options().map(|(name, value)| (name, value.expose())).collect();
    options.sort_unstable();
    options
}

#[track_caller]
fn parsed(text: &str) -> LoginModule {
    parse_property(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn fault(text: &str) -> String {
    parse_property(text).unwrap_err().to_string()
}

#[test]
fn properties_are_parsed_as_people_write_them() {
    for text in [
        format!("{PLAIN} required username=\"admin\" password=\"a;b c\" user_admin=\"a;b c\" user_al-ice='x=\"1\"';"),
        format!(
            "{PLAIN} required\n  username=admin\n  password='a;b c'\n\tuser_admin=\"a;b c\"\r\n  user_al-ice='x=\"1\"' ; "
        ),
        format!(
            "/* all */ {PLAIN} REQUIRED // users\nusername=admin password=\"a;b c\"user_admin = \"a;b c\" user_al-ice=\"x=\\\"1\\\"\";"
        ),
        format!(
            "{PLAIN} Sufficient password=first username=admin password=\"a;b c\" user_admin=\"a;b\\40c\" user_al-ice='x=\\\"1\"';"
        ),
    ] {
        let module = parsed(&text);
        assert_eq!(module.known(), Some(KnownModule::Plain));
        let expected =
            [("password", "a;b c"), ("user_admin", "a;b c"), ("user_al-ice", "x=\"1\""), ("username", "admin")];
        assert_eq!(options(&module), expected, "{text}");
    }
}

#[test]
fn escapes_in_quotes_are_those_of_java() {
    let module = parsed(&format!("{PLAIN} required a=\"\\t\\n\\\\ \\101\\18\\777 \\u \\$\" b=\"ü€\" c=\"\";"));
    assert_eq!(options(&module), [("a", "\t\n\\ A\u{1}8?7 u $"), ("b", "ü€"), ("c", "")]);
}

#[test]
fn modules_without_options_are_parsed() {
    assert_eq!(
        parsed("org.apache.kafka.common.security.scram.ScramLoginModule required;").known(),
        Some(KnownModule::Scram)
    );
    let bearer = parsed(
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=x;",
    );
    assert_eq!(bearer.known(), Some(KnownModule::OAuthBearer));
    assert_eq!(parsed("com.sun.security.auth.module.Krb5LoginModule required;").known(), None);
    assert_eq!(parsed("org.apache.kafka.common.security.plain.plainloginmodule required;").known(), None);
}

#[test]
fn faults_name_their_place() {
    for (text, expected) in [
        (
            "",
            "line 1, column 1: the JAAS configuration is empty; the form is: LoginModuleClass required option=\"value\";",
        ),
        (
            " // nothing",
            "line 1, column 12: the JAAS configuration is empty; the form is: LoginModuleClass required option=\"value\";",
        ),
        ("; required", "line 1, column 1: the class of a login module is missing"),
        ("x.Y", "line 1, column 4: the control flag, such as required, is missing after the class of a login module"),
        ("x.Y a=b;", "line 1, column 5: the control flag is not required, requisite, sufficient or optional"),
        ("x.Y required\n a=b", "line 2, column 5: the semicolon after the options of a login module is missing"),
        (
            "x.Y required a b;",
            "line 1, column 16: an equals sign is missing after the name of an option (values with spaces need quotes)",
        ),
        (
            "x.Y required a=1b;",
            "line 1, column 16: the value of an option is missing (values that do not begin with a letter need quotes)",
        ),
        (
            "x.Y required a=;",
            "line 1, column 16: the value of an option is missing (values that do not begin with a letter need quotes)",
        ),
        (
            "x.Y required a=b@c;",
            "line 1, column 17: an option or a semicolon is expected (values with such characters need quotes)",
        ),
        ("x.Y required a=\"b\nc\";", "line 1, column 16: the quote that begins here is not closed on its line"),
        (
            "x.Y required\n user=\"b\" password=\"secret;\n",
            "line 2, column 20: the quote that begins here is not closed on its line",
        ),
        ("x.Y required; x.Z required;", "line 1, column 15: there is a second login module, and only one is allowed"),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn faults_and_debug_output_have_no_secrets() {
    assert!(!fault("x.Y required password=hunter2 hunter3;").contains("hunter"));
    assert!(!format!("{:?}", parsed("x.Y required password=hunter2;")).contains("hunter"));
}

#[test]
fn files_have_contexts_for_all_listeners_and_for_one() {
    let text = format!(
        "// Users of the broker\nKafkaServer {{\n  {PLAIN} required user_a=\"1\";\n  {PLAIN} optional user_a=\"2\" user_b=\"3\";\n\
        org.apache.kafka.common.security.scram.ScramLoginModule required;\n}};\n\
        \"internal.KafkaServer\" {{ {PLAIN} required user_c=\"4\"; }};\nClient {{ x.Y required a=\"b\"; }};\n"
    );
    let file = parse_file(&text).unwrap();
    let users = |modules: &[LoginModule]| {
        let mut users: Vec<_> =
            plain_users(modules).into_iter().map(|(user, password)| (user, password.expose().to_owned())).collect();
        users.sort();
        users.into_iter().map(|(user, password)| format!("{user}:{password}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(users(file.of_listener("SASL_PLAINTEXT").unwrap()), "a:1 b:3");
    assert_eq!(users(file.of_listener("INTERNAL").unwrap()), "c:4");
    assert_eq!(users(file.context("Client").unwrap()), "");
    assert_eq!(parse_file("x { y.Z required; };").unwrap().of_listener("any"), None);
    assert_eq!(parse_file("").unwrap(), JaasFile::default());
}

#[test]
fn faults_in_files_name_their_place() {
    for (text, expected) in [
        ("KafkaServer", "line 1, column 12: a \"{\" is missing after the name of a context"),
        ("{", "line 1, column 1: the name of a context, such as KafkaServer, is missing"),
        ("K {};", "line 1, column 4: the context has no login module"),
        ("K { x.Y required;\n", "line 2, column 1: a \"}\" is missing after the login modules of a context"),
        ("K { x.Y required; }", "line 1, column 20: a semicolon is missing after the \"}\" of a context"),
        (
            "K { x.Y required a=\"${p}\"; };",
            "line 1, column 20: the value of an option has a Java system property (${...}), which is not supported",
        ),
        ("K { x.Y required; }; K { x.Y required; };", "line 1, column 22: a second context has the same name"),
    ] {
        assert_eq!(parse_file(text).unwrap_err().to_string(), expected, "{text}");
    }
}
