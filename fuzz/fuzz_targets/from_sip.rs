#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::b2bua::from_sip(data));
