//! Formats of files beside CSV: bad records, and how files are written.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::Place;

pub(crate) async fn rejects(place: &Place, config: &Value) -> (u64, String) {
    let mut config = config.clone();
    config["on_error"] = json!("reject");
    let outcome = place.copy(config).await.unwrap_or_else(|error| panic!("{}", error.problem.message));
    let path = place.folder.path().join("attempt/rejects.csv");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(&path);
    (outcome.rows.unwrap(), text)
}

#[tokio::test]
async fn a_bad_line_of_json_costs_itself() {
    let place = Place::new();
    let lines: [&[u8]; 14] = [
        b"{\"id\": 1, \"name\": \"a\", \"tags\": [\"x\"], \"at\": {\"x\": 1}}",
        b"{\"id\": 2, \"name\": \"b\" \"tags\": []}",
        b"{\"id\": \"three\", \"name\": \"c\"}",
        b"",
        b"{\"id\": 4, \"id\": 5}",
        b"[6]",
        b"{\"id\": 7, \"name\": \"\xff\"}",
        b"{\"id\": 8, \"name\": \"\\ud800\"}",
        b"{\"id\": 9, \"tags\": [\"x\", {}]}\r",
        b"{\"id\": 10, \"at\": {\"x\": 1, \"x\": 2}}",
        b"{\"id\": 11, \"name\": \"z\"} {}",
        b"  {\"name\": \"\xc3\xbc\\u00fc\\n\", \"id\": 12, \"tags\": null, \"at\": {\"x\": null}}  ",
        b"{\"id\": 13.5}",
        b"{\"id\": 14",
    ];
    place.file("a.jsonl", lines.join(&b'\n'));
    // The types are those of the declared columns: a bad row of the sample widens them otherwise.
    let columns = json!({"id": "integer", "name": "string"});
    let (rows, text) =
        rejects(&place, &json!({"from": "a.jsonl", "to": "b.jsonl", "columns": columns})).await;
    assert_eq!(rows, 3);
    insta::assert_snapshot!(place.text("b.jsonl"), @r#"
    {"id":1,"name":"a","tags":["x"],"at":{"x":1}}
    {"id":9,"name":null,"tags":["x","{}"],"at":null}
    {"id":12,"name":"üü\n","tags":null,"at":{"x":null}}
    "#);
    insta::assert_snapshot!(text, @r###"
    file,line,byte_offset,column,kind,raw,message
    "a.jsonl",2,54,"",syntax,"{""id"": 2, ""name"": ""b"" ""tags"": []}","`,` or `}` is expected at byte 23 of the record instead of `""`"
    "a.jsonl",3,88,"id",type,"{""id"": ""three"", ""name"": ""c""}","`""three""` is not of the type integer"
    "a.jsonl",5,118,"id",duplicate_name,"{""id"": 4, ""id"": 5}","`id` is there twice"
    "a.jsonl",6,137,"",not_an_object,"[6]","the record is no object"
    "a.jsonl",7,141,"",encoding,"{""id"": 7, ""name"": ""�""}","byte 20 of the record is not UTF-8"
    "a.jsonl",8,164,"",syntax,"{""id"": 8, ""name"": ""\ud800""}","`\u` is not followed by the digits of a character"
    "a.jsonl",10,222,"x",duplicate_name,"{""id"": 10, ""at"": {""x"": 1, ""x"": 2}}","`x` is there twice"
    "a.jsonl",11,257,"",syntax,"{""id"": 11, ""name"": ""z""} {}","the end is expected at byte 25 of the record instead of `{`"
    "a.jsonl",13,354,"id",type,"{""id"": 13.5}","`13.5` is not of the type integer"
    "a.jsonl",14,367,"",syntax,"{""id"": 14","`,` or `}` is expected at byte 10 of the record instead of the end"
    "###);
    let error = place.copy(json!({"from": "a.jsonl", "to": "c.jsonl"})).await.unwrap_err();
    assert_eq!(error.problem.place.map(|at| (at.file, at.line)), Some(("a.jsonl".to_owned(), 2)));
}

#[tokio::test]
async fn types_of_json_are_widened() {
    let place = Place::new();
    place.file(
        "a.jsonl",
        "{\"a\": 1, \"b\": 1, \"c\": true, \"d\": [], \"e\": {}, \"f\": 1, \"g\": 18446744073709551615, \"h\": null}\n\
         {\"a\": 2.5, \"b\": \"x\", \"c\": 1, \"d\": [1, 2.5, null], \"e\": {}, \"f\": [1], \"g\": 1, \"i\": {\"j\": [{\"k\": 1}]}}\n",
    );
    place.copy(json!({"from": "a.jsonl", "to": "b.jsonl"})).await.unwrap();
    insta::assert_snapshot!(place.text("b.jsonl"), @r#"
    {"a":1.0,"b":"1","c":"true","d":[],"e":"{}","f":"1","g":18446744073709551615,"h":null,"i":null}
    {"a":2.5,"b":"x","c":"1","d":[1.0,2.5,null],"e":"{}","f":"[1]","g":1,"h":null,"i":{"j":[{"k":1}]}}
    "#);
    place.file("late.jsonl", format!("{}{{\"a\": 1, \"new\": 2}}\n", "{\"a\": 1}\n".repeat(10_000)));
    let late = json!({"from": "late.jsonl", "to": "c.jsonl"});
    insta::assert_snapshot!(place.message(late.clone()).await, @r###"row cannot be read: `new` is in none of the first records; `columns: {new: string}` makes it a column"###);
    let mut declared = late;
    declared["columns"] = json!({"new": "integer"});
    assert_eq!(place.copy(declared).await.unwrap().rows, Some(10_001));
    place.file("slip.jsonl", "{\"carrier\": \"UA\"}\n");
    let mut slip = json!({"from": "slip.jsonl", "to": "d.jsonl", "columns": {"carier": "string"}});
    insta::assert_snapshot!(place.message(slip.clone()).await, @r###"the first records of `slip.jsonl` have no column `carier`"###);
    slip["columns"] = json!({"carier": {"type": "string", "optional": true}});
    place.copy(slip).await.unwrap();
    insta::assert_snapshot!(place.text("d.jsonl"), @r###"{"carrier":"UA","carier":null}"###);
}

#[tokio::test]
async fn documents_of_json() {
    let place = Place::new();
    let check = async |text: &str, records: Option<&str>| {
        place.file("a.json", text);
        let mut config = json!({"from": "a.json", "to": "b.jsonl", "columns": {"a": "integer"}});
        if let Some(records) = records {
            config["records"] = json!(records);
        }
        let (_, text) = rejects(&place, &config).await;
        let kinds: Vec<String> = text
            .lines()
            .skip(1)
            .filter_map(|line| Some(format!("{}:{}", line.split(',').nth(1)?, line.split(',').nth(4)?)))
            .collect();
        (place.text("b.jsonl").replace('\n', " "), kinds.join(" "))
    };
    let both = ("{\"a\":1} {\"a\":2} ".to_owned(), String::new());
    assert_eq!(check("[{\"a\": 1}, {\"a\": 2}]", None).await, both);
    assert_eq!(check("{\"a\": 1}\n{\"a\": 2}\n", None).await, both);
    assert_eq!(check("{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n", None).await, both);
    assert_eq!(check("\u{feff} [\n{\"a\": 1},\n{\"a\": 2}\n]\n", None).await, both);
    let nested = "{\"n\": {\"x\": [\"]\", {}]}, \"d\": {\"r\\u006fws\": [{\"a\": 1}, {\"a\": 2}], \"z\": 1}}";
    assert_eq!(check(nested, Some("$.d.rows")).await, both);
    assert_eq!(check(nested, Some("$.d.rows[*]")).await, both);
    let bad = |rejected: &str| (both.0.clone(), rejected.to_owned());
    assert_eq!(check("[{\"a\": 1}, {\"a\": }, {\"a\": 2}]", None).await, bad("1:syntax"));
    assert_eq!(check("[{\"a\": 1},\n {\"a\": [1},\n {\"a\": 2}]", None).await, bad("2:syntax"));
    assert_eq!(check("[{\"a\": 1},\n {\"a\": \"x},\n {\"a\": 2}]", None).await, bad("2:syntax"));
    assert_eq!(
        check("[{\"a\": 1},\n, 7, {\"a\": 2},]", None).await,
        bad("2:syntax 2:not_an_object 2:syntax")
    );
    assert_eq!(check("[{\"a\": 1}, {\"a\": 2},\n {\"a\": 3", None).await, bad("2:truncated"));
    assert_eq!(check("[{\"a\": 1}, {\"a\": 2}", None).await, bad("1:truncated"));
    place.file("a.json", nested);
    let message = async |records: &str| {
        place.message(json!({"from": "a.json", "to": "b.jsonl", "records": records})).await
    };
    assert_eq!(
        message("$.d.cols").await,
        "cannot read `a.json:1`: there is no `cols`, which `records` names"
    );
    assert_eq!(message("d.rows").await, "`d.rows` is no path to records");
    place.copy(json!({"from": "a.json", "to": "c.json", "records": "$.d.rows"})).await.unwrap();
    assert_eq!(place.text("c.json"), "[{\"a\":1},{\"a\":2}]");
}

#[tokio::test]
async fn documents_of_xml() {
    let place = Place::new();
    place.file(
        "a.xml",
        r#"<?xml version="1.0" encoding="windows-1252"?>
<!DOCTYPE o:orders [<!ENTITY lol "ha"><!ELEMENT x (a > b)>]>
<o:orders xmlns:o="urn:o" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <!-- <order id="0"/> -->
  <o:order id="1" day="2026-03-01"><name>A &amp; B &#252;</name><tag>x</tag><tag>y</tag><at x="1"/></o:order>
  <order id="2"><name><![CDATA[<b>]]></name><tag>z</tag><at x="2">here</at><note xsi:nil="true"/></order>
  <order id="3"><name>&lol;</name></order>
  <order id="4"><name>open</order>
  <order id="five"/>
  <order id="6" id="7"/>
  <order id="8"><name>a < b</name></order>
  <order id="9"><tag>w</tag><name/>
  </order>
</o:orders>
"#
        .replace("A &amp;", "\u{c4} &amp;")
        .chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap())
        .collect::<Vec<u8>>(),
    );
    let config = json!({"from": "a.xml", "to": "b.jsonl", "columns": {"id": "integer", "note": "string"}});
    let (rows, text) = rejects(&place, &config).await;
    assert_eq!(rows, 3);
    insta::assert_snapshot!(place.text("b.jsonl"), @r#"
    {"id":1,"day":"2026-03-01","name":"Ä & B ü","tag":["x","y"],"at":{"x":1,"value":null},"note":null}
    {"id":2,"day":null,"name":"<b>","tag":["z"],"at":{"x":2,"value":"here"},"note":null}
    {"id":9,"day":null,"name":null,"tag":["w"],"at":null,"note":null}
    "#);
    insta::assert_snapshot!(text, @r###"
    file,line,byte_offset,column,kind,raw,message
    "a.xml",7,434,"",entity,"<order id=""3""><name>&lol;</name></order>","the entity `&lol;` is not one of XML's own; others are not expanded"
    "a.xml",8,477,"",syntax,"<order id=""4""><name>open</order>","ill-formed document: expected `</name>`, but `</order>` was found at byte 33 of the record"
    "a.xml",9,512,"id",type,"<order id=""five""/>","`five` is not of the type integer"
    "a.xml",10,533,"",syntax,"<order id=""6"" id=""7""/>","position 13: duplicated attribute, previous declaration at position 6 at byte 1 of the record"
    "a.xml",11,558,"",syntax,"<order id=""8""><name>a < b</name></order>","a tag has no name at byte 23 of the record"
    "###);
    let nested = "<r><page><row><a>1</a></row></page><page><row><a>2</a></row><row/></page></r>";
    place.file("n.xml", nested);
    for records in ["row", "/r/page/row"] {
        place
            .copy(json!({"from": "n.xml", "to": "c.jsonl", "records": records, "attributes": "@"}))
            .await
            .unwrap();
        assert_eq!(place.text("c.jsonl"), "{\"a\":1}\n{\"a\":2}\n{\"a\":null}\n");
    }
    place.file("cut.xml", "<r><row><a>1</a></row><row><a>2");
    let (rows, text) = rejects(&place, &json!({"from": "cut.xml", "to": "c.jsonl"})).await;
    assert_eq!((rows, text.contains("truncated")), (1, true));
    let bomb = format!("<r>{}{}</r>", "<a>".repeat(300), "</a>".repeat(300));
    place.file("deep.xml", format!("<r><row><b>1</b></row>{bomb}</r>"));
    let (rows, text) = rejects(&place, &json!({"from": "deep.xml", "to": "c.jsonl"})).await;
    assert_eq!((rows, text.contains(",depth,")), (1, true));
}

#[tokio::test]
async fn sheets() {
    let place = Place::new();
    place
        .file("a.csv", "id,name,day,at,share\n1,a,2026-03-01,2026-03-01T06:00:00.250,0.5\n2,,1899-12-31,,\n");
    let long = json!({"path": "b.xlsx", "sheet": "Plan"});
    place.copy(json!({"from": "a.csv", "to": long})).await.unwrap();
    for config in [json!({}), json!({"sheet": "Plan"}), json!({"sheet": 1, "range": "A1:E"})] {
        let mut config = config;
        (config["from"], config["to"]) = (json!("b.xlsx"), json!("c.csv"));
        place.copy(config).await.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(place.text("c.csv"), @r"
            id,name,day,at,share
            1,a,2026-03-01,2026-03-01T06:00:00.250,0.5
            2,,1899-12-31,,
            ");
        }
    }
    let part = json!({"from": "b.xlsx", "to": "c.csv", "range": "B2:C2", "header": false});
    place.copy(part).await.unwrap();
    assert_eq!(place.text("c.csv"), "column_1,column_2\na,2026-03-01\n");
    let message = place.message(json!({"from": "b.xlsx", "to": "c.csv", "sheet": "Plam"})).await;
    assert_eq!(message, "`b.xlsx` has no sheet `Plam`");
    let config = json!({"from": "b.xlsx", "to": "c.csv", "columns": {"name": "integer"}});
    let (rows, text) = rejects(&place, &config).await;
    assert_eq!(rows, 1);
    insta::assert_snapshot!(text, @r###"
    file,line,byte_offset,column,kind,raw,message
    "b.xlsx",2,0,"name",type,"1	a	2026-03-01	2026-03-01T06:00:00.250	0.5","`a` in cell B2 is not of the type integer"
    "###);
    place.file("long.csv", format!("a\n{}\n", "x".repeat(32_768)));
    insta::assert_snapshot!(place.message(json!({"from": "long.csv", "to": "d.xlsx"})).await, @r###"cannot write `[folder]/d.xlsx`: a cell has room for 32767 letters, and a text has 32768; write Parquet or CSV"###);
}

#[tokio::test]
async fn a_sheet_that_is_too_long_is_told() {
    let place = Place::new();
    place.file("long.csv", format!("a\n{}", "1\n".repeat(1_048_576)));
    insta::assert_snapshot!(place.message(json!({"from": "long.csv", "to": "d.xlsx"})).await, @"cannot write `[folder]/d.xlsx`: a sheet has room for 1048576 rows with its header, and there are more; write Parquet or CSV, or filter the rows");
    assert!(!place.folder.path().join("d.xlsx").exists());
}

#[tokio::test]
async fn files_are_written_as_said() {
    let place = Place::new();
    place.file("a.csv", "id,name\n1,a;b\n2,\n");
    let to = json!({"path": "b.csv.gz", "delimiter": ";", "header": false, "null_value": "NA", "level": 9});
    place.copy(json!({"from": "a.csv", "to": to})).await.unwrap();
    let back = json!({"from": "b.csv.gz", "to": "c.csv", "delimiter": ";", "header": false});
    place.copy(back).await.unwrap();
    assert_eq!(place.text("c.csv"), "column_1,column_2\n1,a;b\n2,NA\n");
    place.copy(json!({"from": "a.csv", "to": {"path": "rows", "format": "jsonl"}})).await.unwrap();
    assert_eq!(place.text("rows"), "{\"id\":1,\"name\":\"a;b\"}\n{\"id\":2,\"name\":null}\n");
    let many: String = (0..5000).map(|row| format!("{row}\n")).collect();
    place.file("many.csv", format!("n\n{many}"));
    for compression in ["none", "zstd", "snappy", "gzip", "lz4"] {
        let to = json!({"path": "d.parquet", "compression": compression, "row_group_rows": 1000});
        place.copy(json!({"from": "many.csv", "to": to})).await.unwrap();
        let file = std::fs::File::open(place.folder.path().join("d.parquet")).unwrap();
        let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
        let metadata = parquet::file::reader::FileReader::metadata(&reader).clone();
        assert_eq!(metadata.num_row_groups(), 5);
        let codec = format!("{:?}", metadata.row_group(0).column(0).compression()).to_lowercase();
        let wanted = if compression == "none" { "uncompressed" } else { compression };
        assert!(codec.starts_with(wanted), "{codec}");
        for (ending, has) in [("avro", compression != "lz4"), ("orc", true)] {
            let to = json!({"path": format!("d.{ending}"), "compression": compression});
            assert_eq!(
                place.copy(json!({"from": "d.parquet", "to": to})).await.is_ok(),
                has,
                "{ending} {compression}"
            );
        }
    }
    for file in ["d.avro", "d.orc"] {
        assert_eq!(place.copy(json!({"from": file, "to": "e.csv"})).await.unwrap().rows, Some(5000));
        assert_eq!(place.text("e.csv"), place.text("many.csv"), "{file}");
    }
}

#[tokio::test]
async fn columns_are_matched_by_name() {
    let place = Place::new();
    place.file("a.csv", "id,name\n1,a\n");
    place.file("b.csv", "name,id\nb,2\n");
    place.file("c.csv", "name,number\nb,2\n");
    for ending in ["parquet", "avro", "orc", "arrow", "arrows", "jsonl", "xlsx"] {
        for name in ["a", "b", "c"] {
            place
                .copy(json!({"from": format!("{name}.csv"), "to": format!("{name}.{ending}")}))
                .await
                .unwrap();
        }
        std::fs::rename(
            place.folder.path().join(format!("c.{ending}")),
            place.folder.path().join(format!("other.{ending}")),
        )
        .unwrap();
        place.copy(json!({"from": format!("?.{ending}"), "to": "out.csv"})).await.unwrap();
        assert_eq!(place.text("out.csv"), "id,name\n1,a\n2,b\n", "{ending}");
        if ending != "jsonl" {
            let message = place.message(json!({"from": format!("*.{ending}"), "to": "out.csv"})).await;
            assert!(message.contains("number"), "{message}");
        }
    }
}

#[tokio::test]
async fn other_encodings() {
    let place = Place::new();
    place.file("a.csv", b"name,n\n\xcf\xf0\xe8\xe2\xe5\xf2,1\n\x98,2\nx,3\n");
    let config = json!({"from": "a.csv", "to": "b.csv", "encoding": "windows-1251"});
    let (rows, _) = rejects(&place, &config).await;
    // The web's decoder has a character for every byte of it.
    assert_eq!((rows, place.text("b.csv").starts_with("name,n\nПривет,1\n")), (3, true));
    place.file("a.jsonl", b"{\"a\": \"\x93\xfa\x96\x7b\"}\n{\"a\": \"\x81\xff\"}\n{\"a\": \"x\"}\n");
    let config = json!({"from": "a.jsonl", "to": "b.jsonl", "encoding": "shift_jis"});
    let (rows, text) = rejects(&place, &config).await;
    assert_eq!((rows, place.text("b.jsonl").as_str()), (2, "{\"a\":\"日本\"}\n{\"a\":\"x\"}\n"));
    assert!(text.contains("encoding"), "{text}");
}

/// An archive of these files.
fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn archives() {
    let place = Place::new();
    let csv = format!("id\n{}", "1\n".repeat(1000));
    let files =
        [("b.csv", csv.as_str()), ("in/a.csv", "id\n2\nx\n"), ("__MACOSX/b.csv", "?"), ("read.me", "?")];
    place.file("a.zip", zipped(&files));
    let config = json!({"from": "a.zip", "to": "out.csv", "columns": {"id": "integer"}});
    let (rows, text) = rejects(&place, &config).await;
    assert_eq!((rows, text.contains("\"a.zip/in/a.csv\",3,5,")), (1001, true), "{text}");
    let one = json!({"from": "*.zip", "to": "out.jsonl", "entries": "in/*", "columns": {"id": "string"}});
    place.copy(one).await.unwrap();
    assert_eq!(place.text("out.jsonl"), "{\"id\":\"2\"}\n{\"id\":\"x\"}\n");
    let named = json!({"from": "a.zip", "to": "out.csv", "entries": "read.me", "format": "csv"});
    assert_eq!(place.copy(named).await.unwrap().rows, Some(0));

    let sound = zipped(&files);
    let central = sound.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let changed = |at: usize, bytes: [u8; 4]| {
        let mut archive = sound.clone();
        archive[central + at..central + at + 4].copy_from_slice(&bytes);
        archive
    };
    let bad = [
        ("sum.zip", changed(16, [1, 2, 3, 4])),
        ("short.zip", changed(24, 3_u32.to_le_bytes())),
        ("long.zip", changed(24, 9999_u32.to_le_bytes())),
        ("bomb.zip", changed(24, 4_000_000_000_u32.to_le_bytes())),
        ("locked.zip", changed(8, [1, 0, 8, 0])),
        ("none.zip", zipped(&[("read.me", "")])),
        ("no.zip", b"id\n1\n".to_vec()),
    ];
    let mut said = Vec::new();
    for (name, archive) in bad {
        place.file(name, archive);
        said.push(place.message(json!({"from": name, "to": "never.csv"})).await);
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `sum.zip/b.csv`: its checksum is not the one that its archive says
    cannot read `short.zip/b.csv`: it is longer than its archive says
    cannot read `long.zip/b.csv`: it is shorter than its archive says
    cannot read `bomb.zip`: it would become 4000000007 bytes, more than 200 times its size
    cannot read `locked.zip`: `b.csv` in it is encrypted
    `none.zip` has no file whose ending names a format
    cannot read `no.zip`: invalid Zip archive: Could not find EOCD
    "###);
    place.copy(json!({"from": "out.jsonl", "to": "a.parquet"})).await.unwrap();
    let parquet = std::fs::read(place.folder.path().join("a.parquet")).unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("a.parquet", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(&parquet).unwrap();
    place.file("p.zip", archive.finish().unwrap().into_inner());
    insta::assert_snapshot!(place.message(json!({"from": "p.zip", "to": "never.csv"})).await, @r###"`p.zip/a.parquet` cannot be read within its archive: one has to go back and forth in it"###);
}

#[tokio::test]
async fn documents_of_xml_are_written_and_read_again() {
    let place = Place::new();
    let rows = r#"{"@id":1,"name":"A & <B> \"ü\"","tags":["x","y"],"at":{"@x":1.5,"value":"here"},"lines":[{"n":1,"t":"a"},{"n":2,"t":null}]}
{"@id":2,"name":null,"tags":[],"at":null,"lines":[]}
{"@id":3,"name":"line\none","tags":["z"],"at":{"@x":null,"value":"alone"},"lines":[{"n":3,"t":"c"}]}
"#;
    place.file("a.jsonl", rows);
    let to = json!({"path": "b.xml", "records": "/orders/order", "attributes": "@"});
    assert_eq!(place.copy(json!({"from": "a.jsonl", "to": to})).await.unwrap().rows, Some(3));
    insta::assert_snapshot!(place.text("b.xml"), @r###"
    <?xml version="1.0" encoding="UTF-8"?>
    <orders>
    <order id="1"><name>A &amp; &lt;B&gt; &quot;ü&quot;</name><tags>x</tags><tags>y</tags><at x="1.5">here</at><lines><n>1</n><t>a</t></lines><lines><n>2</n></lines></order>
    <order id="2"/>
    <order id="3"><name>line
    one</name><tags>z</tags><at>alone</at><lines><n>3</n><t>c</t></lines></order>
    </orders>
    "###);
    let back = json!({"from": "b.xml", "to": "c.jsonl", "records": "/orders/order", "attributes": "@"});
    place.copy(back).await.unwrap();
    insta::assert_snapshot!(place.text("c.jsonl"), @r###"
    {"@id":1,"name":"A & <B> \"ü\"","tags":["x","y"],"at":{"@x":1.5,"value":"here"},"lines":[{"n":1,"t":"a"},{"n":2,"t":null}]}
    {"@id":2,"name":null,"tags":null,"at":null,"lines":null}
    {"@id":3,"name":"line\none","tags":["z"],"at":{"@x":null,"value":"alone"},"lines":[{"n":3,"t":"c"}]}
    "###);
    place.copy(json!({"from": "c.jsonl", "to": to})).await.unwrap();
    place.copy(json!({"from": "b.xml", "to": "d.xml", "records": "order"})).await.unwrap();
    assert!(
        place.text("d.xml").starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rows>\n<row>"),
        "{}",
        place.text("d.xml")
    );
    place.file("control.csv", "id,t\n1,a\u{1}b\n");
    let message = place.message(json!({"from": "control.csv", "to": "e.xml"})).await;
    assert_eq!(
        message,
        "cannot write `[folder]/e.xml`: column `t` has the character U+0001, which XML has no place for"
    );
    let to = json!({"path": "e.xml", "records": "/a b/c"});
    let message = place.message(json!({"from": "a.jsonl", "to": to})).await;
    assert_eq!(
        message,
        "cannot write `[folder]/e.xml`: `records`: `a b` is no name of an element; write `/orders/order`"
    );
}

#[tokio::test]
async fn the_first_bad_cell_of_a_record_is_told() {
    let place = Place::new();
    // A letter cut in two by a comma is none, though its bytes would be well-formed together.
    place.file("a.csv", b"name,more,id\na,b,1\n\xff,b,x\na,\xfe,3\nc,d,y\n\xc3,\xa4,5\n\xc3\xa4,e,6\n");
    let config = json!({"from": "a.csv", "to": "b.csv", "columns": {"id": "integer"}, "on_error": "reject"});
    place.copy(config).await.unwrap();
    assert_eq!(place.text("b.csv"), "name,more,id\na,b,1\n\u{e4},e,6\n");
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r#"
    file,line,byte_offset,column,kind,raw,message
    "a.csv",3,19,"name",encoding,"�,b,x","the cell of column `name` is not UTF-8"
    "a.csv",4,25,"more",encoding,"a,�,3","the cell of column `more` is not UTF-8"
    "a.csv",5,31,"id",type,"c,d,y","`y` in column `id` is not of the type integer"
    "a.csv",6,37,"name",encoding,"�,�,5","the cell of column `name` is not UTF-8"
    "#);
}

#[tokio::test]
async fn rejects_in_parquet_have_every_byte() {
    let place = Place::new();
    place.file("a.csv", b"id,name\n1,a\nx,b\n3,\xff\r\n4,d\n");
    let config = json!({"from": "a.csv", "to": "b.csv", "columns": {"id": "integer"}, "on_error": "reject", "rejects": "parquet"});
    let outcome = place.copy(config.clone()).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(2), &json!(2)));
    place.copy(json!({"from": "attempt/rejects.parquet", "to": "r.csv"})).await.unwrap();
    insta::assert_snapshot!(place.text("r.csv"), @r###"
    file,line,byte_offset,column,kind,raw,message
    a.csv,3,12,id,type,782c62,`x` in column `id` is not of the type integer
    a.csv,4,16,name,encoding,332cff,the cell of column `name` is not UTF-8
    "###);
    // One that fails has a whole file too.
    let mut limited = config;
    limited["max_rejects"] = json!(1);
    assert_eq!(place.message(limited).await, "more than 1 row were rejected");
    assert_eq!(
        place.copy(json!({"from": "attempt/rejects.parquet", "to": "r.csv"})).await.unwrap().rows,
        Some(2)
    );
}
