/**
 * What a read may call: functions and operators of `pg_catalog` that change nothing outside their statement, and the keywords of
 * PostgreSQL's grammar that look like functions. Knowledge as data. `tests/statements` asks PostgreSQL itself whether it is true.
 *
 * Sources: `pg_proc`, `pg_operator` and `pg_get_keywords()` of PostgreSQL 18. Only what applications use: this is shipped.
 */

/**
 * Functions. Each of their overloads is IMMUTABLE or STABLE, or VOLATILE only because its result differs each time: the clock, randomness,
 * sizes on disk, `pg_is_in_recovery`, `pg_sleep`. Not everything that is STABLE is harmless: `txid_current` takes a transaction number.
 */
export const HARMLESS_FUNCTIONS: ReadonlySet<string> = /* @__PURE__ */ setOf(`
any_value array_agg avg bit_and bit_or bool_and bool_or count every json_agg json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont
percentile_disc stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
ascii btrim char_length character_length chr concat concat_ws convert_from convert_to decode encode format initcap left length like lower lpad ltrim md5
octet_length quote_ident quote_literal regexp_count regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim sha256 sha512 split_part starts_with string_to_array string_to_table strpos
substr to_hex translate upper
abs acos asin atan atan2 cbrt ceil ceiling cos degrees div exp floor ln log mod pi pow power radians random round sign sin sqrt tan trunc width_bucket
age clock_timestamp date date_bin date_part date_trunc isfinite justify_interval make_date make_interval make_time make_timestamp make_timestamptz now
overlaps pg_sleep statement_timestamp timezone to_char to_date to_number to_timestamp transaction_timestamp
array_append array_cat array_length array_lower array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string
array_upper cardinality generate_series generate_subscripts unnest
json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
json_extract_path_text json_object_keys json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
jsonb_extract_path_text jsonb_insert jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json
to_json to_jsonb
daterange int4range int8range isempty lower_inc numrange tsrange tstzrange upper_inc
phraseto_tsquery plainto_tsquery setweight to_tsquery to_tsvector ts_headline ts_rank ts_rank_cd websearch_to_tsquery
enum_range gen_random_uuid hashtext num_nonnulls num_nulls point uuidv7
col_description current_database current_query current_schema current_schemas current_setting format_type has_schema_privilege has_table_privilege obj_description
pg_backend_pid pg_column_size pg_database_size pg_encoding_to_char pg_get_constraintdef pg_get_expr pg_get_function_identity_arguments
pg_get_functiondef pg_get_indexdef pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role pg_indexes_size pg_is_in_recovery
pg_postmaster_start_time pg_relation_size pg_size_pretty pg_table_is_visible pg_table_size pg_total_relation_size pg_type_is_visible pg_typeof
shobj_description to_regclass to_regtype version`)

/** Words that may precede a parenthesis, and that cannot name a function without quotes. */
export const GRAMMAR_WORDS: ReadonlySet<string> = /* @__PURE__ */ setOf(`
all and any array as between bit case cast char character coalesce current_timestamp decimal distinct else except exists extract from greatest group
grouping having in intersect json_array json_arrayagg json_exists json_object json_objectagg json_query json_table json_value lateral least limit
localtimestamp not nullif numeric offset on only or overlay position row select some substring then time timestamp trim union using values varchar when
where`)

/**
 * Operators, by their spelling; `!=`, which is `<>`, and the `=>` of a named argument; those of pg_trgm and pgvector that share no spelling
 * with PostgreSQL's own.
 */
export const HARMLESS_OPERATORS: ReadonlySet<string> = /* @__PURE__ */ setOf(`
= <> != < > <= >= + - * / % ^ => || | & # ~ << >> -> ->> #> #>> #- @> <@ ? ?| ?& @? @@ && -|- &< &> ~* !~ !~* ~~ ~~* !~~ !~~* ^@ !! |/ ||/ @ <-> <<= >>=
<% %> <<% %>> <=> <#> <+>`)

function setOf(words: string): ReadonlySet<string> {
  return new Set(words.trim().split(/\s+/))
}
