use super::*;

const COMPANY: CompanyId = CompanyId([1; 16]);
const LOG: LogId = LogId([2; 16]);
const ANNA: UserId = UserId([3; 16]);

/// A text's blocks, one a line, with marks for what they are.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for block in blocks(text, TextForm::Markdown) {
        shown.push_str(&"> ".repeat(block.quote.into()));
        match block.kind {
            BlockKind::Text => {}
            BlockKind::Heading => shown.push('#'),
            BlockKind::Code => shown.push_str("```"),
            BlockKind::Item { depth, number } => {
                shown.push_str(&"  ".repeat(depth.into()));
                shown.push_str(&number.map_or("-".to_owned(), |number| number.to_string()));
                shown.push(' ');
            }
        }
        for span in &block.spans {
            let marks =
                [(span.bold, 'b'), (span.italic, 'i'), (span.strike, 's'), (span.code, 'c')];
            let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
            let target = match &span.target {
                None => String::new(),
                Some(Target::Address(address)) => format!("→{address}"),
                Some(Target::Person(..)) => "→person".to_owned(),
                Some(Target::Everybody(..)) => "→all".to_owned(),
            };
            match (marks.is_empty(), target.is_empty()) {
                (true, true) => shown.push_str(&span.text),
                _ => shown.push_str(&format!("[{}{marks}{target}]", span.text)),
            }
        }
        shown.push('|');
    }
    shown
}

#[test]
fn bold_italic_struck_and_code_are_spans() {
    assert_eq!(
        shown("**fett** *kursiv* ~~weg~~ `x = 1` ***beides***"),
        "[fettb] [kursivi] [wegs] [x = 1c] [beidesbi]|"
    );
    assert_eq!(shown("snake_case_name und 2 * 3 * 4"), "snake_case_name und 2 * 3 * 4|");
    assert_eq!(shown("eine Zeile\nnoch eine"), "eine Zeile\nnoch eine|");
}

#[test]
fn quotes_lists_headings_and_code_are_blocks() {
    assert_eq!(shown("> eins\n>\n> zwei\n\ndrei"), "> eins|> zwei|drei|");
    assert_eq!(shown("> > tief"), "> > tief|");
    assert_eq!(shown("- Milch\n- Brot\n  - Roggen\n\nEnde"), "- Milch|- Brot|  - Roggen|Ende|");
    assert_eq!(shown("7. sieben\n8. acht"), "7 sieben|8 acht|");
    assert_eq!(shown("# Titel\nText"), "#[Titelb]|Text|");
    assert_eq!(shown("```\nlet x;\n**nicht fett**\n```"), "```[let x;\n**nicht fett**c]|");
}

#[test]
fn a_link_leads_to_an_address_or_says_in_words_where_it_would_lead() {
    assert_eq!(shown("[hier](https://a.de/x)"), "[hier→https://a.de/x]|");
    assert_eq!(shown("siehe https://a.de/x."), "siehe [https://a.de/x→https://a.de/x].|");
    assert_eq!(shown("<https://a.de>"), "[https://a.de→https://a.de]|");
    for destination in ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "relativ"]
    {
        assert_eq!(shown(&format!("[hier]({destination})")), format!("hier ({destination})|"));
    }
    assert!(!Target::Address("https://böse.de".to_owned()).is_shown_by("https://bank.de"));
    // A sign that turns text around makes no address.
    assert!(!shown("[x](<https://a.de/\u{202e}gpj>)").contains('→'));
}

#[test]
fn a_picture_is_a_link_and_html_is_text() {
    assert_eq!(shown("![Foto](https://a.de/f.png)"), "[Foto→https://a.de/f.png]|");
    assert_eq!(shown("<b>nicht fett</b>"), "<b>nicht fett</b>|");
    assert_eq!(shown("<script>x</script>"), "<script>x</script>|");
}

#[test]
fn a_mention_names_people_of_this_company_and_this_conversation_alone() {
    let (other, elsewhere) = (CompanyId([9; 16]), LogId([9; 16]));
    let text = format!(
        "[@Anna]({}) [@Anna]({0}) [@Fremder]({}) [@alle]({}) ",
        person_uri(COMPANY, ANNA),
        person_uri(other, UserId([8; 16])),
        everybody_uri(COMPANY, elsewhere),
    );
    let found = mentions(&text, COMPANY, LOG);
    assert_eq!(found, Mentions { people: vec![ANNA], everybody: false });
    let all = format!("[@alle]({})", everybody_uri(COMPANY, LOG));
    assert!(mentions(&all, COMPANY, LOG).everybody);
    assert_eq!(plain(&all, TextForm::Markdown), "@alle");
    // In code it is what stands there.
    assert_eq!(mentions(&format!("`{all}`"), COMPANY, LOG), Mentions::default());
}

#[test]
fn words_are_what_is_read_without_the_markup() {
    let text = "**Wichtig:** [Angebot](https://a.de)\n\n1. eins\n2. *zwei*";
    assert_eq!(plain(text, TextForm::Markdown), "Wichtig: Angebot\n1. eins\n2. zwei");
    assert_eq!(plain("**x**", TextForm::Plain), "**x**");
}

#[test]
fn a_text_that_asks_for_nothing_stays_plain() {
    for plain in [
        "Moin",
        "2 * 3 * 4",
        "2*3*4",
        "2 * 3",
        r"\\server\freigabe\_alt",
        "a\nb",
        "https://a.de",
        "#4711",
        "",
    ] {
        assert!(!is_formatted(plain), "{plain}");
    }
    for formatted in ["**a**", "`x`", "> so", "- a\n- b", "[x](https://a.de)"] {
        assert!(is_formatted(formatted), "{formatted}");
    }
}

/// Each of these made some parser slow or deep once. That they end at all, within the stack and the
/// limits, is what is tested; a bench would say how fast.
#[test]
fn a_hostile_text_stays_within_the_limits() {
    let bytes = 32 << 10;
    let fill = |pattern: &str| pattern.repeat(bytes / pattern.len());
    let definitions = format!("[a]: https://a.de/{}\n\n{}", "x".repeat(2_000), fill("[a]"));
    let hostile = [
        ">".repeat(10_000) + " tief",
        fill("> "),
        fill("- "),
        fill("["),
        fill("]("),
        fill("[a]("),
        fill("![["),
        fill("*a_"),
        fill("**a *a "),
        fill("`"),
        fill("` `` "),
        fill("<"),
        fill("<!--"),
        fill("&"),
        fill("\\"),
        fill("~~"),
        fill("a\n\n"),
        fill("**a** b"),
        fill("1. "),
        fill("\t"),
        fill("http://"),
        fill("https://a "),
        fill("|-"),
        definitions,
    ];
    for text in hostile {
        let blocks = blocks(&text, TextForm::Markdown);
        let spans: usize = blocks.iter().map(|block| block.spans.len()).sum();
        assert!(blocks.len() <= BLOCKS && spans <= SPANS);
        assert!(blocks.iter().all(|block| block.quote <= DEPTH));
        let targets = blocks.iter().flat_map(|block| &block.spans).map(|span| match &span.target {
            Some(Target::Address(address)) => address.len(),
            _ => 0,
        });
        assert!(targets.sum::<usize>() <= TARGET_BYTES + (32 << 10));
        let words = plain(&text, TextForm::Markdown);
        assert!(words.len() <= TARGET_BYTES + 3 * text.len(), "{}", words.len());
    }
}
