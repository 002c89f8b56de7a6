use findings_router::{decide::{carrier::{self,Opened},config::Config,policy::{Policy,UserFiles}},values::tree::Node};
use std::time::Instant;
fn main(){
 let p=Policy::load(Config::default(),&UserFiles::default()).map_err(|e|e[0].to_string()).unwrap();
 for f in ["fixtures/cloudtrail-ordinary/04-pipeline-updates-a-function.json","fixtures/guardduty-attack-sequence/01-compromised-credentials.json","fixtures/guardduty-iam-exfiltration/02-user-from-tor.json","fixtures/guardduty-crypto-mining/01-first-seen.json"]{
 let t=serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(f).unwrap()).unwrap().to_string();
 let n=20000u32;
 let time=|name:&str,f:&mut dyn FnMut()->usize|{ for _ in 0..2000{std::hint::black_box(f());} let s=Instant::now(); for _ in 0..n{std::hint::black_box(f());} println!("{name:30} {:.2} us",s.elapsed().as_secs_f64()*1e6/f64::from(n)); };
 println!("{f} {}",t.len());
 time("value",&mut||serde_json::from_str::<serde_json::Value>(&t).map_or(0,|_|1));
 time("ignored",&mut||serde_json::from_str::<serde::de::IgnoredAny>(&t).map_or(0,|_|1));
 time("parse_fields",&mut||Node::parse_fields(&t,p.fields()).map_or(0,|_|1));
 time("open",&mut||match carrier::open(&t,p.fields()){Opened::Event(_)=>1,_=>0});
 let Opened::Event(e)=carrier::open(&t,p.fields()) else {return};
 time("sources_of(match)",&mut||p.sources_of(&e.tree).len());
 time("clone env",&mut||e.clone().id.len());
 time("examine+clone",&mut||{p.examine(e.clone(),jiff::Timestamp::UNIX_EPOCH);1});
 }
}
