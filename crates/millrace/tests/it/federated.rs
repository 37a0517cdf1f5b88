//! Queries over tables of databases and datasets together, by the real program against real servers.

use millrace_metastore::testing::{TestMariadb, TestPostgres};

use crate::project::Project;

const TABLE: &str = "create table orders (id bigint primary key, who varchar(10), total decimal(10,2), day date, at timestamp(6) null, paid boolean);
insert into orders values (1, 'ann', 12.50, '2026-03-01', '2026-03-01 10:00:00.5', true), (2, 'ANN', 7.50, '2026-03-02', null, false),
 (3, 'bob', 40, '2026-03-02', '2026-03-02 00:00:00', null)";

/// The ids of the rows that a condition holds for.
fn ids(project: &Project, table: &str, condition: &str) -> String {
    let query = format!("select id from {table} where {condition} order by id");
    let said = project.output(&["sql", &query, "--json"]);
    assert!(said.status.success(), "{query}: {}", String::from_utf8_lossy(&said.stderr));
    let rows = String::from_utf8_lossy(&said.stdout).into_owned();
    rows.lines().map(|row| row.replace("{\"id\":", "").replace('}', "")).collect::<Vec<_>>().join(" ")
}

/// What the database is told changes no result.
fn every_condition(project: &Project, table: &str) {
    for (condition, expected) in [
        ("true", "1 2 3"),
        ("id = 2", "2"),
        ("3 > id", "1 2"),
        ("id in (3, 1, 7)", "1 3"),
        ("who = 'ann'", "1"),
        ("who in ('ANN', 'x')", "2"),
        ("who > 'a'", "1 3"),
        ("who <> 'ann'", "2 3"),
        ("total >= 12.5", "1 3"),
        ("total < 12.50", "2"),
        ("day = date '2026-03-02' and id > 2", "3"),
        ("at is null", "2"),
        ("at is not null and at > timestamp '2026-03-01 10:00:00'", "1 3"),
        ("at <= timestamp '2026-03-01 10:00:00.5'", "1"),
        ("paid", "1"),
        ("paid = false", "2"),
        ("paid is null or id = 1", "1 3"),
        ("upper(who) = 'ANN'", "1 2"),
    ] {
        assert_eq!(ids(project, table, condition), expected, "{table}: {condition}");
    }
    let count = project.output(&["sql", &format!("select count(*) as n from {table}"), "--json"]);
    assert_eq!(String::from_utf8_lossy(&count.stdout).trim(), "{\"n\":3}");
    let names = project.output(&[
        "sql",
        &format!("select o.id, n.name from {table} o join names n on n.who = lower(o.who) where o.total > 10 order by o.id"),
        "--json",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&names.stdout),
        "{\"id\":1,\"name\":\"Ann Lee\"}\n{\"id\":3,\"name\":\"Bob Ray\"}\n"
    );
    // A limit ends the reading early.
    let some = project.output(&["sql", &format!("select id from {table} limit 2"), "--json"]);
    assert_eq!(String::from_utf8_lossy(&some.stdout).lines().count(), 2);
}

fn project(connection: &str) -> Project {
    let names = "who,name\nann,Ann Lee\nbob,Bob Ray\n";
    let project = Project::new(&[("connections.yaml", connection), ("names.csv", names)]);
    assert!(project.output(&["copy", "names.csv", "data:names"]).status.success());
    project
}

#[test]
fn tables_of_postgres_in_queries() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(TABLE);
    let project = project(&format!("pg: {{postgres: {{url: \"{}\"}}}}\n", server.url()));
    every_condition(&project, "pg.orders");
    every_condition(&project, "pg.public.orders");
    let error = |query: &str| {
        let said = project.output(&["sql", query]);
        assert!(!said.status.success(), "{query}");
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let absent = error("select * from nowhere.orders");
    assert!(absent.contains("`nowhere.orders`: there is no connection `nowhere`"), "{absent}");
    let absent = error("select * from pg.absent");
    assert!(absent.contains("absent") && absent.contains("does not exist"), "{absent}");
}

#[test]
fn tables_of_mariadb_in_queries() {
    let Some(server) = TestMariadb::start() else { return };
    server.sql(TABLE);
    let project = project(&format!("shop: {{mysql: {{url: \"{}\"}}}}\n", server.url()));
    every_condition(&project, "shop.orders");
}
