use std::collections::BTreeSet;

use wasmparser::{
    ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef, ValType, Validator,
    WasmFeatures,
};

use crate::{
    Fault, HOST_MODULE, HostFunction, Item, MAX_WASM_SIZE, MEMORY_LIMIT_PAGES, ValueType,
    limits::{
        MAX_DATA_SEGMENTS, MAX_FUNCTIONS, MAX_IMPORTS, MAX_LOCALS, MAX_OPERATORS, MAX_TABLE_ENTRIES,
    },
};

/// What a chain learns from a module when it activates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Length of the module, in bytes.
    pub wasm_len: usize,
    /// Pages of memory at the start.
    pub footprint: u16,
}

/// Checks everything that a chain on ArbOS 60 checks before it activates a module.
///
/// # Errors
/// Every rule that the module breaks, in the module's order.
pub fn check(wasm: &[u8]) -> Result<ProgramInfo, Vec<Fault>> {
    let mut scan = Scan::default();
    scan.limit(Item::WasmBytes, wasm.len() as u64, MAX_WASM_SIZE as u64, None);
    let parsed = scan.module(wasm);
    let validated = Validator::new_with_features(features()).validate_all(wasm).map(|_| ());
    scan.finish();
    // The validator stops at its first error, which is often one that the scan has reported better.
    if let Err(error) = parsed {
        scan.invalid(&error);
    } else if let (true, Err(error)) = (scan.faults.is_empty(), validated) {
        scan.invalid(&error);
    }
    if scan.faults.is_empty() {
        Ok(ProgramInfo { wasm_len: wasm.len(), footprint: scan.footprint })
    } else {
        Err(scan.faults)
    }
}

/// The proposals that chains run. `memory.copy` and `memory.fill` are the only bulk operators.
fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL | WasmFeatures::SIGN_EXTENSION | WasmFeatures::BULK_MEMORY_OPT
}

/// One function type, reduced to what host functions use.
type Signature = (Vec<ValType>, Vec<ValType>);

#[derive(Default)]
struct Scan {
    faults: Vec<Fault>,
    footprint: u16,
    types: Vec<Signature>,
    /// Type of every function, imported ones first.
    functions: Vec<u32>,
    imported: u32,
    bodies: u32,
    memories: u32,
    memory_exported: bool,
    memory_imported: bool,
    pays_for_memory: bool,
    entrypoint: Option<u32>,
    entrypoint_is_no_function: bool,
    /// Reasons for which an operator has been reported.
    reported: BTreeSet<&'static str>,
}

impl Scan {
    fn module(&mut self, wasm: &[u8]) -> wasmparser::Result<()> {
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types.into_iter_err_on_gc_types() {
                        let group = group?;
                        self.function_type(group.params(), group.results());
                    }
                }
                Payload::ImportSection(imports) => self.imports(imports)?,
                Payload::FunctionSection(functions) => {
                    for index in functions {
                        self.functions.push(index?);
                    }
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        let size = table?.ty.initial;
                        self.limit(Item::TableEntries, size, MAX_TABLE_ENTRIES, None);
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let pages = memory?.initial;
                        self.memories += 1;
                        self.limit(Item::MemoryPages, pages, MEMORY_LIMIT_PAGES, None);
                        self.footprint = u16::try_from(pages).unwrap_or(u16::MAX);
                    }
                }
                Payload::ExportSection(exports) => self.exports(exports)?,
                Payload::StartSection { .. } => self.section("start"),
                Payload::TagSection(_) => self.section("tag"),
                Payload::DataCountSection { .. } => self.section("data count"),
                Payload::DataSection(data) => {
                    self.limit(Item::DataSegments, data.count().into(), MAX_DATA_SEGMENTS, None);
                }
                Payload::CodeSectionEntry(body) => self.body(&body, wasm)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        let functions = self.functions.len() as u64;
        self.limit(Item::Functions, functions, MAX_FUNCTIONS, None);
        if !self.pays_for_memory {
            self.faults.push(Fault::NoMemoryPayment);
        }
        let memory = match self.memories {
            _ if self.memory_imported => Some("it is imported"),
            0 => Some("there is none"),
            1 if !self.memory_exported => Some("it is not exported"),
            1 => None,
            _ => Some("there are several"),
        };
        self.faults.extend(memory.map(|given| Fault::Memory { given }));
        let signature = self
            .entrypoint
            .and_then(|function| self.functions.get(function as usize))
            .and_then(|&index| self.types.get(index as usize));
        let entrypoint = match signature {
            Some((params, results)) if *params == [ValType::I32] && *results == [ValType::I32] => {
                None
            }
            Some(_) => Some("it has another type"),
            None if self.entrypoint_is_no_function => Some("it is no function"),
            None => Some("there is none"),
        };
        self.faults.extend(entrypoint.map(|given| Fault::Entrypoint { given }));
    }

    fn function_type(&mut self, params: &[ValType], results: &[ValType]) {
        for &ty in params.iter().chain(results) {
            self.value_type(ty);
        }
        if results.len() > 1 {
            let index = self.types.len() as u32;
            self.faults.push(Fault::MultiValue { index, results: results.len() });
        }
        self.types.push((params.to_vec(), results.to_vec()));
    }

    fn imports(&mut self, imports: wasmparser::ImportSectionReader<'_>) -> wasmparser::Result<()> {
        let mut count = 0;
        for import in imports.into_imports() {
            let import = import?;
            count += 1;
            self.reserved(import.name);
            match import.ty {
                TypeRef::Func(index) => {
                    self.functions.push(index);
                    self.imported += 1;
                    self.imported_function(import.module, import.name, index);
                }
                TypeRef::Memory(_) => self.memory_imported = true,
                _ => self.unknown_import(import.module, import.name),
            }
        }
        self.limit(Item::Imports, count, MAX_IMPORTS, None);
        Ok(())
    }

    fn imported_function(&mut self, module: &str, name: &str, index: u32) {
        let host = HostFunction::named(name).filter(|_| module == HOST_MODULE);
        let Some(host) = host else { return self.unknown_import(module, name) };
        if name == "pay_for_memory_grow" {
            self.pays_for_memory = true;
        }
        let matches = self.types.get(index as usize).is_some_and(|(params, results)| {
            params.iter().copied().eq(host.params.iter().copied().map(value_type))
                && results.iter().copied().eq(host.result.map(value_type))
        });
        if !matches {
            self.faults.push(Fault::ImportType { name: name.to_owned() });
        }
    }

    fn exports(&mut self, exports: wasmparser::ExportSectionReader<'_>) -> wasmparser::Result<()> {
        for export in exports {
            let export = export?;
            self.reserved(export.name);
            match (export.name, export.kind) {
                ("memory", ExternalKind::Memory) => self.memory_exported = true,
                ("user_entrypoint", ExternalKind::Func) => self.entrypoint = Some(export.index),
                ("user_entrypoint", _) => self.entrypoint_is_no_function = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'_>, wasm: &[u8]) -> wasmparser::Result<()> {
        let function = self.imported + self.bodies;
        self.bodies += 1;
        let params = self
            .functions
            .get(function as usize)
            .and_then(|&index| self.types.get(index as usize))
            .map_or(0, |(params, _)| params.len() as u64);
        let mut locals = params;
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            locals += u64::from(count);
            self.value_type(ty);
        }
        self.limit(Item::Locals, locals, MAX_LOCALS, Some(function));

        let mut operators = body.get_operators_reader()?;
        let mut count = 0;
        while !operators.eof() {
            let start = operators.original_position() as usize;
            let operator = operators.read()?;
            let bytes = wasm.get(start..operators.original_position() as usize);
            count += 1;
            self.operator(&operator, bytes.unwrap_or_default(), function);
        }
        self.limit(Item::Operators, count, MAX_OPERATORS, Some(function));
        Ok(())
    }

    fn operator(&mut self, operator: &Operator<'_>, bytes: &[u8], function: u32) {
        if matches!(operator, Operator::CallIndirect { table_index: 0, .. }) {
            // Opcode, type index, table index: the last must be one byte.
            let table_at = bytes.iter().skip(1).position(|byte| byte & 0x80 == 0).map(|at| at + 2);
            if table_at != bytes.len().checked_sub(1) {
                self.faults.push(Fault::OverlongCallIndirect { function });
            }
            return;
        }
        if let Some((operator, reason)) = forbidden(operator)
            && self.reported.insert(reason)
        {
            self.faults.push(Fault::Operator { operator, reason, function });
        }
    }

    fn value_type(&mut self, ty: ValType) {
        if !matches!(ty, ValType::I32 | ValType::I64) {
            let fault = Fault::ValueType { given: ty.to_string() };
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    fn reserved(&mut self, name: &str) {
        if name.starts_with("stylus_") {
            self.faults.push(Fault::ReservedName { name: name.to_owned() });
        }
    }

    fn unknown_import(&mut self, module: &str, name: &str) {
        self.faults.push(Fault::UnknownImport { module: module.to_owned(), name: name.to_owned() });
    }

    fn section(&mut self, name: &'static str) {
        self.faults.push(Fault::Section { name });
    }

    fn limit(&mut self, item: Item, given: u64, limit: u64, function: Option<u32>) {
        if given > limit {
            self.faults.push(Fault::TooMany { item, given, limit, function });
        }
    }

    fn invalid(&mut self, error: &wasmparser::BinaryReaderError) {
        self.faults
            .push(Fault::Invalid { message: error.message().to_owned(), offset: error.offset() });
    }
}

const fn value_type(ty: ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}

/// Name of an operator that chains do not run, and why.
fn forbidden(operator: &Operator<'_>) -> Option<(&'static str, &'static str)> {
    macro_rules! describe {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match operator {
                $( Operator::$op { .. } => (stringify!($op), stringify!($proposal)), )*
                _ => ("unknown", "unknown proposal"),
            }
        };
    }
    let (name, proposal) = wasmparser::for_each_operator!(describe);
    match (proposal, name) {
        ("mvp", name) if name.contains("F32") || name.contains("F64") => Some((name, "floats")),
        ("mvp" | "sign_extension", _) | ("bulk_memory", "MemoryCopy" | "MemoryFill") => None,
        _ => Some((name, proposal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAY: &str = r#"(import "vm_hooks" "pay_for_memory_grow" (func (param i32)))"#;
    const MEMORY: &str = r#"(memory (export "memory") 1)"#;
    const ENTRY: &str = r#"(func (export "user_entrypoint") (param i32) (result i32) i32.const 0)"#;

    fn module(parts: &[&str]) -> Vec<u8> {
        wat::parse_str(format!("(module {})", parts.join("\n"))).unwrap()
    }

    fn faults(parts: &[&str]) -> Vec<Fault> {
        check(&module(parts)).unwrap_err()
    }

    /// Faults of a sound module with something added.
    fn faults_with(part: &str) -> Vec<Fault> {
        faults(&[PAY, MEMORY, ENTRY, part])
    }

    fn operator(operator: &'static str, reason: &'static str) -> Vec<Fault> {
        vec![Fault::Operator { operator, reason, function: 2 }]
    }

    #[test]
    fn a_sound_module_passes() {
        let wasm = module(&[PAY, r#"(memory (export "memory") 3)"#, ENTRY]);
        assert_eq!(check(&wasm), Ok(ProgramInfo { wasm_len: wasm.len(), footprint: 3 }));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        assert_eq!(
            faults(&["(func $start) (start $start)"]),
            [
                Fault::Section { name: "start" },
                Fault::NoMemoryPayment,
                Fault::Memory { given: "there is none" },
                Fault::Entrypoint { given: "there is none" },
            ]
        );
    }

    #[test]
    fn memory_is_one_own_and_exported() {
        let memory = |given| vec![Fault::Memory { given }];
        assert_eq!(faults(&[PAY, ENTRY, "(memory 1)"]), memory("it is not exported"));
        assert_eq!(faults(&[PAY, ENTRY]), memory("there is none"));
        assert_eq!(faults(&[PAY, MEMORY, ENTRY, "(memory 1)"]), memory("there are several"));
        assert_eq!(
            faults(&[PAY, r#"(import "env" "memory" (memory 1))"#, ENTRY]),
            memory("it is imported")
        );
        let large = faults(&[PAY, r#"(memory (export "memory") 129)"#, ENTRY]);
        let item = Item::MemoryPages;
        assert_eq!(large, [Fault::TooMany { item, given: 129, limit: 128, function: None }]);
    }

    #[test]
    fn the_entrypoint_is_a_function_from_length_to_status() {
        let entrypoint = |given| vec![Fault::Entrypoint { given }];
        assert_eq!(faults(&[PAY, MEMORY]), entrypoint("there is none"));
        assert_eq!(
            faults(&[PAY, MEMORY, r#"(func (export "user_entrypoint"))"#]),
            entrypoint("it has another type")
        );
        assert_eq!(
            faults(&[PAY, MEMORY, r#"(global (export "user_entrypoint") i32 (i32.const 0))"#]),
            entrypoint("it is no function")
        );
    }

    #[test]
    fn imports_are_host_functions_with_their_types() {
        let unknown = |module: &str, name: &str| {
            vec![Fault::UnknownImport { module: module.into(), name: name.into() }]
        };
        let import = |import: &str| faults(&[PAY, import, MEMORY, ENTRY]);
        assert_eq!(
            import(r#"(import "vm_hooks" "nothing" (func))"#),
            unknown("vm_hooks", "nothing")
        );
        assert_eq!(
            import(r#"(import "console" "log_i32" (func (param i32)))"#),
            unknown("console", "log_i32")
        );
        assert_eq!(import(r#"(import "vm_hooks" "g" (global i32))"#), unknown("vm_hooks", "g"));
        assert_eq!(
            import(r#"(import "vm_hooks" "read_args" (func (param i64)))"#),
            [Fault::ImportType { name: "read_args".into() }]
        );
        assert_eq!(faults(&[MEMORY, ENTRY]), [Fault::NoMemoryPayment]);
        for function in crate::HOST_FUNCTIONS.iter().filter(|f| f.name != "pay_for_memory_grow") {
            let name = |ty: &ValueType| value_type(*ty).to_string();
            let params: Vec<_> = function.params.iter().map(name).collect();
            let result = function.result.as_ref().map(name).unwrap_or_default();
            let import = format!(
                r#"(import "vm_hooks" "{}" (func (param {}) (result {result})))"#,
                function.name,
                params.join(" ")
            );
            assert!(check(&module(&[PAY, &import, MEMORY, ENTRY])).is_ok(), "{import}");
        }
    }

    #[test]
    fn reserved_names_are_refused() {
        assert_eq!(
            faults_with(r#"(func (export "stylus_ink_left"))"#),
            [Fault::ReservedName { name: "stylus_ink_left".into() }]
        );
    }

    #[test]
    fn counts_are_limited() {
        let too_many =
            |item, given, limit, function| vec![Fault::TooMany { item, given, limit, function }];
        let function = Some(2);
        let locals = format!("(func (local {}))", "i32 ".repeat(349));
        assert_eq!(faults_with(&locals), too_many(Item::Locals, 349, 348, function));
        let body = format!("(func {})", "nop ".repeat(65_536));
        assert_eq!(faults_with(&body), too_many(Item::Operators, 65_537, 65_536, function));
        let functions = "(func)".repeat(4_095);
        assert_eq!(faults_with(&functions), too_many(Item::Functions, 4_097, 4_096, None));
        let data = r#"(data (i32.const 0) "x")"#.repeat(129);
        assert_eq!(faults_with(&data), too_many(Item::DataSegments, 129, 128, None));
        assert_eq!(
            faults_with("(table 4097 funcref)"),
            too_many(Item::TableEntries, 4_097, 4_096, None)
        );
        let imports = r#"(import "vm_hooks" "msg_reentrant" (func (result i32)))"#.repeat(513);
        assert_eq!(
            faults(&[PAY, &imports, MEMORY, ENTRY]),
            too_many(Item::Imports, 514, 513, None)
        );
        let segment = "A".repeat(MAX_WASM_SIZE);
        let wasm = module(&[
            PAY,
            r#"(memory (export "memory") 3)"#,
            ENTRY,
            &format!("(data (i32.const 0) \"{segment}\")"),
        ]);
        assert_eq!(
            check(&wasm),
            Err(too_many(Item::WasmBytes, wasm.len() as u64, MAX_WASM_SIZE as u64, None))
        );
    }

    #[test]
    fn operators_of_other_proposals_are_refused() {
        assert_eq!(
            faults_with("(func (drop (f64.const 0)) (drop (f32.const 0)))"),
            operator("F64Const", "floats")
        );
        assert_eq!(
            faults_with("(func (result i32) (i32.trunc_sat_f32_s (f32.const 0)))"),
            [
                operator("F32Const", "floats"),
                operator("I32TruncSatF32S", "saturating_float_to_int")
            ]
            .concat()
        );
        assert_eq!(faults_with("(func return_call 2)"), operator("ReturnCall", "tail_call"));
        assert_eq!(
            faults_with("(func (drop (ref.is_null (ref.null func))))"),
            operator("RefNull", "reference_types")
        );
        assert_eq!(
            faults_with(
                r#"(data "x") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))"#
            ),
            [vec![Fault::Section { name: "data count" }], operator("MemoryInit", "bulk_memory")]
                .concat()
        );
    }

    #[test]
    fn copy_fill_and_sign_extension_are_allowed() {
        let body = "(func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (i32.extend8_s (i32.const 0))))";
        assert!(check(&module(&[PAY, MEMORY, ENTRY, body])).is_ok());
    }

    #[test]
    fn types_are_integers_with_at_most_one_result() {
        assert_eq!(
            faults_with("(type (func (result i32 i32)))"),
            [Fault::MultiValue { index: 0, results: 2 }]
        );
        assert_eq!(
            faults_with("(type (func (param f64 f64)))"),
            [Fault::ValueType { given: "f64".into() }]
        );
        assert!(matches!(
            faults_with("(global i32 (i32.add (i32.const 1) (i32.const 2)))")[..],
            [Fault::Invalid { .. }]
        ));
    }

    #[test]
    fn call_indirect_names_its_table_in_one_byte() {
        let parts = [PAY, MEMORY, ENTRY, "(table 1 funcref) (func (call_indirect (i32.const 0)))"];
        let mut wasm = module(&parts);
        assert!(check(&wasm).is_ok());
        // Body: size, no locals, i32.const 0, call_indirect type table, end.
        let at = wasm.windows(3).rposition(|bytes| bytes == [0x11, 2, 0]).unwrap();
        wasm.splice(at + 2..at + 3, [0x80, 0x00]);
        wasm[at - 4] += 1;
        let code_section = wasm.iter().rposition(|&byte| byte == 10).unwrap();
        wasm[code_section + 1] += 1;
        assert_eq!(check(&wasm), Err(vec![Fault::OverlongCallIndirect { function: 2 }]));
    }

    #[test]
    fn garbage_is_invalid() {
        assert!(matches!(check(b"\0asm").unwrap_err().last(), Some(Fault::Invalid { .. })));
    }
}
