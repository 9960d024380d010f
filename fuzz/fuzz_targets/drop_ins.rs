#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::config::drop_ins(data));
