//! Which columns a Parquet schema has, and what the bytes of each mean (the logical types of parquet-format 2.12, and the
//! converted types that older programs write).

use crate::data::Kind;
use ::parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::schema::types::{SchemaDescriptor, Type};

/// How deep groups may lie in each other.
const DEPTH_MAX: usize = 32;
/// Digits of a decimal that fit into 128 bits.
const DIGITS_MAX: i32 = 38;
const SECONDS_OF_DAY: f64 = 86_400.0;

/// What the bytes of a value mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Nature {
    Whole,
    Unsigned,
    /// Whole numbers of 10^-scale.
    Decimal(i32),
    /// Numbers of floating point, also those of 16 bits.
    Float,
    /// Points in time: seconds in one unit.
    Time(f64),
    /// Spans of time: seconds in one unit.
    Span(f64),
    Boolean,
    Text,
    /// Bytes that are no text, as hexadecimal digits.
    Bytes,
    Uuid,
    /// Nothing but holes.
    Nothing,
}

/// What kinds of cells come out of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Number,
    Time,
    Boolean,
    Text,
    List,
    Nothing,
}

/// One column of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Which leaf of the schema it is.
    pub(super) leaf: usize,
    pub(super) nature: Nature,
    /// The cells are lists of numbers.
    pub(super) list: bool,
    /// The definition level of a value that is there.
    pub(super) defined: i16,
    /// The definition level of an element of a list, there or not.
    pub(super) element: i16,
}

impl Shape {
    pub(super) fn family(&self) -> Family {
        match self.nature {
            _ if self.list => Family::List,
            Nature::Nothing => Family::Nothing,
            Nature::Time(_) => Family::Time,
            Nature::Boolean => Family::Boolean,
            Nature::Text | Nature::Bytes | Nature::Uuid => Family::Text,
            _ => Family::Number,
        }
    }

    /// The kind of the cells, lists apart.
    pub(super) fn kind(&self) -> Kind {
        match (self.family(), self.nature) {
            (_, Nature::Whole | Nature::Unsigned | Nature::Decimal(0)) => Kind::Integer,
            (Family::Time, _) => Kind::Time,
            (Family::Boolean, _) => Kind::Boolean,
            (Family::Text | Family::List | Family::Nothing, _) => Kind::Text,
            (Family::Number, _) => Kind::Number,
        }
    }
}

/// Every column with its name, nested ones as `a.b`; or what it holds that no cell can.
pub(super) fn columns(schema: &SchemaDescriptor) -> Vec<(String, Result<Shape, &'static str>)> {
    let mut walk = Walk { schema, leaf: 0, found: Vec::new() };
    walk.fields(schema.root_schema(), "", 0);
    walk.found
}

struct Walk<'a> {
    schema: &'a SchemaDescriptor,
    /// The next leaf.
    leaf: usize,
    found: Vec<(String, Result<Shape, &'static str>)>,
}

impl Walk<'_> {
    fn fields(&mut self, group: &Type, above: &str, depth: usize) {
        for field in group.get_fields() {
            let name = if above.is_empty() { field.name().to_owned() } else { format!("{above}.{}", field.name()) };
            let repeated = field.get_basic_info().has_repetition() && field.get_basic_info().repetition() == Repetition::REPEATED;
            let is_list = field.get_basic_info().converted_type() == ConvertedType::LIST
                || matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::List));
            let is_map = matches!(field.get_basic_info().converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
                || matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Map));
            if field.is_group() && !repeated && !is_list && !is_map && depth < DEPTH_MAX {
                self.fields(field, &name, depth + 1);
                continue;
            }
            let first = self.leaf;
            self.leaf += leaves(field);
            let one = self.leaf - first == 1;
            let shape = match (is_map, one) {
                (true, _) => Err("a map"),
                (_, false) => Err("lists of groups"),
                _ => shape(self.schema, first),
            };
            self.found.push((name, shape));
        }
    }
}

fn leaves(node: &Type) -> usize {
    if !node.is_group() {
        return 1;
    }
    node.get_fields().iter().map(|field| leaves(field)).sum()
}

fn shape(schema: &SchemaDescriptor, leaf: usize) -> Result<Shape, &'static str> {
    let column = schema.column(leaf);
    let list = column.max_rep_level() > 0;
    let logical = column.logical_type_ref();
    let nature = nature(logical, column.converted_type(), column.physical_type(), column.type_scale());
    let digits = if matches!(nature, Nature::Decimal(_)) { column.type_precision() } else { 0 };
    let shape = Shape { leaf, nature, list, defined: column.max_def_level(), element: column.repeated_ancestor_def_level() };
    let numbers = matches!(nature, Nature::Whole | Nature::Unsigned | Nature::Decimal(_) | Nature::Float);
    match (list, column.max_rep_level()) {
        _ if digits > DIGITS_MAX => Err("decimals of more than 38 digits"),
        (true, 2..) => Err("lists of lists"),
        (true, _) if !numbers => Err("lists of what is no number"),
        _ => Ok(shape),
    }
}

fn seconds(unit: &TimeUnit) -> f64 {
    match unit {
        TimeUnit::MILLIS => 1e-3,
        TimeUnit::MICROS => 1e-6,
        TimeUnit::NANOS => 1e-9,
    }
}

fn nature(logical: Option<&LogicalType>, converted: ConvertedType, physical: Physical, scale: i32) -> Nature {
    match logical {
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => return Nature::Text,
        Some(LogicalType::Decimal(decimal)) => return Nature::Decimal(decimal.scale),
        Some(LogicalType::Date) => return Nature::Time(SECONDS_OF_DAY),
        Some(LogicalType::Timestamp(time)) => return Nature::Time(seconds(&time.unit)),
        Some(LogicalType::Time(time)) => return Nature::Span(seconds(&time.unit)),
        Some(LogicalType::Integer(int)) => return if int.is_signed { Nature::Whole } else { Nature::Unsigned },
        Some(LogicalType::Unknown) => return Nature::Nothing,
        Some(LogicalType::Uuid) => return Nature::Uuid,
        Some(LogicalType::Float16) => return Nature::Float,
        _ => {}
    }
    match converted {
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => return Nature::Text,
        ConvertedType::DECIMAL => return Nature::Decimal(scale),
        ConvertedType::DATE => return Nature::Time(SECONDS_OF_DAY),
        ConvertedType::TIMESTAMP_MILLIS => return Nature::Time(1e-3),
        ConvertedType::TIMESTAMP_MICROS => return Nature::Time(1e-6),
        ConvertedType::TIME_MILLIS => return Nature::Span(1e-3),
        ConvertedType::TIME_MICROS => return Nature::Span(1e-6),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            return Nature::Unsigned;
        }
        ConvertedType::BSON | ConvertedType::INTERVAL => return Nature::Bytes,
        _ => {}
    }
    match physical {
        Physical::BOOLEAN => Nature::Boolean,
        Physical::INT32 | Physical::INT64 => Nature::Whole,
        Physical::INT96 => Nature::Time(1e-6),
        Physical::FLOAT | Physical::DOUBLE => Nature::Float,
        // Programs that do not know logical types write texts so.
        Physical::BYTE_ARRAY => Nature::Text,
        Physical::FIXED_LEN_BYTE_ARRAY => Nature::Bytes,
    }
}
