//! The files of the console.

use super::{send, with_console};

#[test]
fn page_and_its_files_are_served_with_their_types_and_entity_tags() {
    let broker = with_console();
    let moved = send(&broker, "GET", "/console", &[], "");
    assert_eq!(moved.status, 308);
    assert!(moved.head.contains("location: /console/"), "{}", moved.head);
    let page = send(&broker, "GET", "/console/", &[], "");
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    for file in page
        .text
        .split(['"', '\''])
        .filter(|part| part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".svg"))
    {
        assert_eq!(send(&broker, "GET", &format!("/console/{file}"), &[], "").status, 200, "{file}");
    }
    let script = send(&broker, "GET", "/console/app.js", &[], "");
    assert!(script.head.contains("content-type: text/javascript"), "{}", script.head);
    assert!(script.head.contains("cache-control: no-cache"), "{}", script.head);
    let tag = script.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an entity tag").to_owned();
    let known = send(&broker, "GET", "/console/app.js", &[&format!("If-None-Match: {tag}")], "");
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    assert_eq!(send(&broker, "GET", "/console/../Cargo.toml", &[], "").status, 404);
    assert_eq!(send(&broker, "GET", "/console/other.js", &[], "").status, 404);
}
