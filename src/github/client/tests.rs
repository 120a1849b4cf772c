use super::*;

#[test]
fn the_next_page_is_the_one_that_the_server_names() {
    let link = r#"<https://h/x?page=1>; rel="prev", <https://h/x?page=3&a=b>; rel="next", <https://h/x?page=9>; rel="last""#;
    assert_eq!(next_page(&Answer::of(200, &[("link", link)], "")), Some("https://h/x?page=3&a=b"));
    assert_eq!(next_page(&Answer::of(200, &[("link", r#"<https://h/x>; rel="last""#)], "")), None);
    assert_eq!(next_page(&Answer::of(200, &[], "")), None);
}

#[test]
fn only_what_has_no_second_effect_is_repeated_by_itself() {
    assert_eq!(Request::get("/x").repeat, Repeat::Free);
    assert_eq!(Request::delete("/x").repeat, Repeat::Free);
    assert_eq!(Request::post("/x", Value::Null).repeat, Repeat::Never);
    assert_eq!(Request::patch("/x", Value::Null).repeat, Repeat::Never);
    assert_eq!(Request::post("/x", Value::Null).repeatable().repeat, Repeat::Free);
}
