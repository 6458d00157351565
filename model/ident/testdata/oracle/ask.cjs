// Reads a JSON array of numbers and writes the array of their kinds, "" for what is no number.
const {idnr} = require(process.argv[2]);
const numbers = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(numbers.map((n) => {
  const r = idnr(n);
  return r.status === "valid" ? r.type : "";
})));
