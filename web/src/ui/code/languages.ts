import { sql, SQLDialect } from "@codemirror/lang-sql";
import { yaml } from "@codemirror/lang-yaml";
import { StreamLanguage, type StringStream } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

/** `code` is any of the common programming languages, `plain` has no colours; JSON is YAML. */
export type Language = "yaml" | "sql" | "code" | "plain";

const KEYWORDS = new Set(
  (
    "and as assert async await break case catch class const continue def default del do elif else enum except export extends " +
    "false finally fn for from func function global if impl import in interface is lambda let loop match mod mut new nil None " +
    "not null or package pass private pub public raise return self static struct super switch this throw trait true True False " +
    "try type use using var void where while with yield"
  ).split(" "),
);

interface State {
  /** The sign that ends what began lines ago: three quotes, or a comment's end. */
  until: string | null;
}

/** Words, strings, numbers and comments as most languages write them. */
const code = StreamLanguage.define<State>({
  startState: () => ({ until: null }),
  token(stream, state) {
    if (state.until) return throughout(stream, state, state.until);
    if (stream.eatSpace()) return null;
    const triple = /^("""|''')/.exec(stream.string.slice(stream.pos))?.[0];
    if (triple) {
      stream.pos += 3;
      return throughout(stream, state, triple);
    }
    if (stream.match("/*")) return throughout(stream, state, "*/");
    if (stream.match(/^(#(?!\[)|\/\/|--\s).*/)) return "comment";
    if (stream.match(/^"(?:[^"\\]|\\.)*"?|^'(?:[^'\\]|\\.)*'|^`[^`]*`?/)) return "string";
    if (stream.match(/^(0x[\da-f_]+|\d[\d_]*\.?\d*(e[+-]?\d+)?)/i)) return "number";
    const word = stream.match(/^[A-Za-z_$][\w$]*/);
    if (word) return KEYWORDS.has((word as RegExpMatchArray)[0]) ? "keyword" : null;
    if (stream.match(/^@[\w.]+/)) return "meta";
    stream.next();
    return null;
  },
});

function throughout(stream: StringStream, state: State, until: string): string {
  const end = stream.string.indexOf(until, stream.pos);
  state.until = end < 0 ? until : null;
  if (end < 0) stream.skipToEnd();
  else stream.pos = end + until.length;
  return until === "*/" ? "comment" : "string";
}

/** The words of the engine's SQL, as far as people type them: a list of all words of the standard hides the names that are meant. */
const dialect = SQLDialect.define({
  keywords:
    "all and any as asc between by case cross current desc distinct else end escape except exists false filter first following from full " +
    "group having in inner intersect interval is join last lateral left like ilike limit natural not null nulls offset on or order outer " +
    "over partition preceding qualify range recursive right row rows select similar then to true unbounded union unnest using values when " +
    "where window with",
  builtin:
    "abs approx_distinct array_agg avg cast ceil coalesce concat corr count date_part date_trunc dense_rank extract first_value floor " +
    "greatest lag last_value lead least length ln lower lpad max median min now nullif power rank regexp_like regexp_replace replace round " +
    "row_number split_part stddev string_agg substr sum to_timestamp trim try_cast upper var",
  types:
    "bigint boolean bytea char date decimal double float int integer real smallint text time timestamp tinyint varchar",
});

/** Columns by the table that has them. */
export type Names = Readonly<Record<string, readonly string[]>>;

export function extensionOf(language: Language, names?: Names): Extension {
  if (language === "yaml") return yaml();
  if (language === "sql") return sql({ dialect, schema: names && { ...names } });
  return language === "code" ? code : [];
}
