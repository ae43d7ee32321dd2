// Written from attnflow/views/payloads.py by `python -m tests.payload_types`; do not edit.

/** A head as [layer, head], both from 0. */
export type Head = [number, number];
/** One of the two models. */
export type Side = "a" | "b";

/** Event `at`: the prediction at one token is meant, which becomes the root in both models. */
export interface AtToken {
  /** The model whose token it is. */
  side: Side;
  piece: number;
}

/** Event `choose` of that choice. */
export interface ChosenThreshold {
  tau: number;
}

/** Event `export` of the radial view: a file of it, as a page with what is shown there, or exact numbers. */
export interface Export {
  kind: "html" | "json" | "csv";
  /** Whether the page is to be dark. */
  dark?: boolean;
  view?: string;
  select?: string;
  strongest?: string;
  /** Each as the address of the page tells it. */
  differing?: string;
}

/** How the address of the page tells one setting. */
export interface LinkedSetting {
  name: string;
  /** Its name in the address; empty if the address does not tell it. */
  link: string;
  /** Name of the switch that chooses this setting while it is on, and so keeps it out; empty if none does. */
  unless: string;
  /** The value that is left out. */
  plain: any;
}

/** Property `lit` of maps and strips: where the selected word stands there; empty lists for none. */
export interface LitTokens {
  /** Its pieces in model A. */
  a: number[];
  /** In B. */
  b: number[];
  /** Its units in the strips of A, which are words or pieces. */
  strip_a: number[];
  /** In those of B. */
  strip_b: number[];
  /** In those of the difference. */
  strip_ab: number[];
}

/** Event `analyse`: what is to be another of the pair; what is left out stays. */
export interface OtherPair {
  model_a?: string;
  revision_a?: string;
  model_b?: string;
  revision_b?: string;
  text_a?: string;
  text_b?: string;
}

/** Event `prune`: all heads that are to be off. The property `confirmed` of the matrix: those that are. */
export interface Pruned {
  a: Head[];
  b: Head[];
}

/** Event `select`: a head, a word, or both, which become the selected ones on the whole page. */
export interface Selected {
  head?: Head;
  /** The model whose layers the head is counted by; the deeper one if left out. */
  side?: Side;
  /** Its number among the units of the radial view. */
  word?: number;
  /** Instead of the word: one of the pieces of the model of `side`. */
  piece?: number;
  /** Instead of the word: one of the words or pieces of that model, whichever the page shows. */
  own?: number;
}

/** The choice of one threshold for all layers. */
export interface ThresholdChoice {
  /** `[N]`: those offered. */
  taus: number[];
  /** The one that is chosen; null where each layer has its own. */
  tau: number | null;
  /** Tokens that a ring can hold. */
  most: number;
  models: ThresholdModel[];
}

/** The rings of one model, from the decision outwards without that of the decision itself. */
export interface ThresholdModel {
  layers: number;
  /** `[L, N]`: tokens of each ring at each of the thresholds offered. */
  sizes: number[][];
  /** `[L]`: tokens of each ring as it is drawn. */
  now: number[];
  /** `[L]`: the threshold of the attention that leads to each ring, as it is drawn. */
  tau: number[];
}

/** Property `work` of every panel: what it waits for, or why nothing came of it. */
export interface Work {
  state: "working" | "done" | "cancelled" | "failed";
  /** What is going on, or the sentence of what happened; empty once it is done. */
  what: string;
  /** What is done, 0 to 1; left out before that is known. */
  share?: number;
  /** Seconds that are left, about; left out while too little is done to tell. */
  rest?: number;
}

/** A collection of texts as two models read it. */
export interface Collection {
  /** Names collection and models in events; another one is another figure. */
  key: string;
  /** Names the texts: with the same ones, what a visitor selected and searched stays, and points move. */
  texts: string;
  /** Of each model, what tells its layouts from all others of these texts. */
  layouts: string[];
  n: number;
  source: string;
  /** How many texts of how many, what was left out, cut or matched to no class, in sentences. */
  about: string;
  /** Of A, or of A and B. */
  models: string[];
  /** Of each model: hidden states are those of 0 (the input) to this one. */
  layers: number[];
  columns: TextColumn[];
  orders: TextOrder[];
  decided: Decided[];
  /** Projections that are installed. */
  methods: ("pca" | "tsne" | "umap")[];
  /** What a row of the table has of its text: first text, second text, label, and what else its source says. */
  fields: string[];
  /** How the texts were learnt, if a recording of a training is shown. */
  training: TextTraining | null;
}

/** Property `download` of the map of texts. */
export interface CollectionFile {
  name: string;
  text?: string;
  base64?: string;
  /** When it was made, in seconds: the same file can be asked for twice. */
  at: number;
}

/** The columns that a confusion matrix is counted from; both have the model's classes as their kinds. */
export interface Decided {
  side: Side;
  gold: string;
  decision: string;
}

/** Which files of the visitor's own are taken in the place of a data set. */
export interface FileAsked {
  /** Bytes. */
  most: number;
  /** Of their names. */
  ends: string[];
  /** The same in a sentence. */
  told: string;
}

/** Event `sent`: a file has been sent. */
export interface FileSent {
  /** What the server calls it. */
  called: string;
}

/** Property `found`: its answer. */
export interface Found {
  key: string;
  text: string;
  /** `[N]` bytes as base64 text, 1 where it does. */
  rows: string;
}

/** Event `keep`: rows are to be saved; the answer is the property `download`. */
export interface KeepRows {
  key: string;
  /** uint32 as base64 text, in the order of the table. */
  rows: string;
  /** JSON has names and rows alone. */
  kind: "csv" | "parquet" | "json";
  /** Filters and order in words, which the file tells. */
  settings: string;
}

/** Property `layout`: its answer. */
export interface Layout {
  key: string;
  plot: 0 | 1;
  side: Side;
  of: "hidden" | "behaviour";
  layer: number;
  method: "pca" | "tsne" | "umap";
  /** `[N, 2]` float32 as base64 text; NaN for texts that were not read. */
  points: string;
  /** `[N]` float32: share of the neighbours of a text that are kept, 0 to 1. */
  preserved: string;
  trustworthiness: number | null;
  continuity: number | null;
  /** How many these were measured with. */
  neighbours: number;
  /** What else is to be said; may be empty. */
  note: string;
}

/** Event `layout`: where the points of one plot lie is asked for. */
export interface LayoutOf {
  key: string;
  /** Left or right. */
  plot: 0 | 1;
  side: Side;
  of: "hidden" | "behaviour";
  /** Of hidden states, 0 to L. */
  layer: number;
  method: "pca" | "tsne" | "umap";
}

/** Event `open`: a text is to be opened in *One pair*. */
export interface OpenText {
  key: string;
  row: number;
}

/** Property `ready` of the map of texts: an order that was asked for, and is to be shown. */
export interface ReadyOrder {
  name: string;
  /** When it was made, in seconds: the same can be asked for twice. */
  at: number;
}

/** Property `rows`: its answer. */
export interface Rows {
  key: string;
  rows: number[];
  /** For each row its `fields`. */
  cells: string[][];
}

/** Event `rows`: the texts of some rows are asked for, at most 200. */
export interface RowsOf {
  key: string;
  rows: number[];
}

/** Event `search`: which texts hold some words, in capital or small letters. */
export interface Search {
  key: string;
  text: string;
}

/** Event `slice`: the rows that are left by filters and selection, for the parts of the room that follow them. */
export interface Sliced {
  key: string;
  /** uint32 as base64 text. */
  rows: string;
  /** Filters and selection in words. */
  told: string;
}

/** One attribute of every text, to filter, colour, sort and draw by. */
export interface TextColumn {
  name: string;
  title: string;
  /** Kinds are few names, such as classes; whether something holds is the kinds `no` and `yes`. */
  kind: "number" | "kind";
  /** What it is, in a sentence, with its unit. */
  help: string;
  /** Names of the kinds; empty for numbers. */
  kinds: string[];
  /** `[N]` little-endian as base64 text: float32, NaN where it is missing; of kinds uint16, 65535 where it is. */
  values: string;
}

/** Texts in an order that is worth looking at. */
export interface TextOrder {
  name: string;
  title: string;
  /** How to read it. */
  sentence: string;
  /** Name of the column that it is by, largest first; texts that lack it are not in it. */
  column: string;
}

/** What a training recorded of the texts, epoch by epoch. `E` is the number of epochs. */
export interface TextTraining {
  recording: string;
  /** Their numbers, from 0. */
  epochs: number[];
  /** Of how many of them, the first ones, the data map is. */
  counted: number;
  /** The column that the data map is drawn by from left to right: variability. */
  x: string;
  /** That from below: confidence. */
  y: string;
  /** That which colours it: correctness. */
  colour: string;
  /** Kinds: the region that each text lies in. */
  region: string;
  /** `[N, E]` float32 as base64 text: -log of the label's probability, in nats; NaN where nothing was recorded. */
  loss: string;
  /** `[N, E]` bytes as base64 text, 1 where the likeliest class was the label. */
  right: string;
  /** What is missing or does not match, in sentences; may be empty. */
  about: string;
}

/** Property `unlaid`: the answer where there is no such layout. */
export interface Unlaid {
  key: string;
  plot: 0 | 1;
  side: Side;
  of: "hidden" | "behaviour";
  layer: number;
  method: "pca" | "tsne" | "umap";
  /** One sentence. */
  why: string;
  /** When, in seconds: the same can fail twice. */
  at: number;
}

/** From a word to another one of its sentence, by their numbers. */
export interface Arc {
  word: number;
  to: number;
}

/** Relations against heads of one model or two. */
export interface Grammar {
  /** Of the treebank and the models. */
  key: string;
  /** Cases from which on a relation is spoken of. */
  least: number;
  directions: string[];
  /** `[R]`: all together first, then those of most cases. */
  relations: GrammarRelation[];
  models: GrammarModelFigure[];
}

/** The table of the best heads. */
export interface GrammarBest {
  key: string;
  /** Cases from which on a relation is spoken of. */
  least: number;
  rows: GrammarRow[];
  /** Whether both models were compared. */
  compared: boolean;
  /** Whether random weights stand beside. */
  random: boolean;
  /** What these two columns are, as far as there are any. */
  notes: string[];
}

/** Event `cell` of map and table, and their property `chosen`: a head of a model, by its own layers; a relation. */
export interface GrammarCell {
  key: string;
  side: Side;
  relation: string;
  head: Head;
}

/** What a head chose for a word. */
export interface GrammarChoice {
  word: number;
  to: number;
  right: boolean;
}

/** How much more A finds than B for a relation, on the same words. */
export interface GrammarDifference {
  /** A less B, in hundredths of the cases. */
  points: number;
  /** McNemar's, with Holm's correction. */
  p: number;
  differs: boolean;
}

/** Property `download` of the table: a file for the visitor's browser. */
export interface GrammarFile {
  name: string;
  text: string;
  /** When it was made, in seconds: the same file can be asked for twice. */
  at: number;
}

/** How well every head of one model finds governors; `R` relations. */
export interface GrammarModelFigure {
  side: Side;
  name: string;
  layers: number;
  heads: number;
  /** `[R]` */
  cases: number[];
  /** What `accuracy` is to be divided by. */
  steps: number;
  /** `[R, L * H]` in the better direction, as base64 text of little-endian uint16. */
  accuracy: string;
  /** `[R, L * H]`: which direction that is, as base64 text of bytes. */
  direction: string;
  /** `[R]`: accuracy of the best fixed offset. */
  offset: number[];
  /** `[R]`: the head that finds most, as `layer * H + head`; -1 where there is no case. */
  best: number[];
  /** `[L * H]`: what each head is called; often empty. */
  names: string[];
}

/** One relation of a treebank, or all of them together. */
export interface GrammarRelation {
  name: string;
  /** What finding its governor means, as a sentence goes on after "finds". */
  finds: string;
}

/** The best head of one model for a relation, and the best offset. */
export interface GrammarRow {
  relation: string;
  /** What finding its governor means, as a sentence goes on after "finds". */
  finds: string;
  side: Side;
  n: number;
  head: Head;
  direction: string;
  /** Each half of the sentences scored by what is best on the other half. */
  held_out: GrammarShare;
  /** Chosen on all sentences and scored on all, as in the paper. */
  on_all: GrammarShare;
  offset: number;
  offset_held_out: GrammarShare;
  offset_on_all: GrammarShare;
  /** None if both models were not compared, or have too few cases. */
  compared: GrammarDifference | null;
  /** The best head with random weights, held out; None if that was not asked for. */
  random: GrammarShare | null;
}

/** A sentence with what is right and what a head chose. */
export interface GrammarSentence {
  /** In the collection. */
  row: number;
  words: string[];
  /** From each word of the relation to its governor. */
  gold: Arc[];
  /** From the same words, in the same order, but those for which the head chose none. */
  chosen: GrammarChoice[];
}

/** Sentences on which a head is right, and on which it is wrong. */
export interface GrammarSentences {
  cell: GrammarCell;
  told: string;
  /** As it stands at the arcs; empty for all relations. */
  relation: string;
  /** All of its choices are. */
  right: GrammarSentence[];
  /** Some of its choices are. */
  wrong: GrammarSentence[];
}

/** A share of cases, with its 95 % interval. */
export interface GrammarShare {
  share: number;
  low: number;
  high: number;
}

/** Event `open`: a sentence to be shown in *One pair*, with the head that is chosen. */
export interface OpenSentence {
  row: number;
}

/** From a word to what a probe takes for its governor. */
export interface ParsedArc {
  word: number;
  to: number;
  /** From 0 to 1. */
  probability: number;
  /** None where the true one is not known. */
  right: boolean | null;
}

/** The tree that a probe reads out of one model. */
export interface ParsedTree {
  side: Side;
  name: string;
  words: string[];
  root: number;
  /** Of all words but the root. */
  arcs: ParsedArc[];
  /** True ones; empty where they are not known. */
  gold: Arc[];
  told: string;
}

/** What the probes of one model or two read out of a sentence. */
export interface ParsedTrees {
  told: string;
  kind: string;
  trees: ParsedTree[];
}

/** The matrix of heads. */
export interface Matrix {
  title: string;
  note: string;
  /** What `raw` is. */
  measured: string;
  signed: boolean;
  sides: MatrixHalf[];
}

/** A cell for each head of one model, or of the difference. */
export interface MatrixHalf {
  side: "a" | "b" | "difference";
  name: string;
  note: string;
  layers: number;
  heads: number;
  /** `[L, H]` as shown: 0 to 1, or -1 to 1 if signed; null for heads that are still to come. */
  values: ((number | null)[])[];
  /** `[L, H]` as measured. */
  raw: ((number | null)[])[];
  pruned: Head[];
  selected: Head | null;
  /** How many of its layers, the first, are an encoder's, which have the first half of the heads alone. */
  encoder?: number;
  /** What `raw` is, where it is not what the matrix says. */
  measured?: string;
  /** Pixels along a side of one picture. */
  size?: number;
  /** The pictures of all heads as one image: `[L * size, H * size]` bytes as base64 text. */
  pixels?: string;
}

/** What is known of the word and the head that are selected. */
export interface Details {
  /** Of the word, in sentences; empty if none is selected. */
  word: string;
  /** Name of the head, by the layers of the deeper model. */
  head: string;
  sides: DetailsHead[];
}

/** The selected head in one model. */
export interface DetailsHead {
  side: Side;
  /** Of the model. */
  name: string;
  /** By the model's own layers; null where it has no such head. */
  head: Head | null;
  /** Which one it lacks, and what it has, in a sentence; empty where it has it. */
  absent: string;
  off: boolean;
  /** All heads of the model that are off. */
  pruned: Head[];
  /** What changes without the head; null while it is measured. */
  without: string | null;
  /** What treebanks tell of it, in sentences; often empty. */
  grammar: string;
  /** Pixels along a side of its map. */
  size: number;
  /** The map as `[size, size]` bytes, `[query, key]`, as base64 text. */
  pixels: string;
  /** The strongest first. */
  lines: HeadLine[];
}

/** A strong attention of a head. */
export interface HeadLine {
  /** The token that attends, as a sentence names it. */
  query: string;
  /** The token attended to. */
  key: string;
  share: string;
}

/** One class of a prediction. */
export interface ClassScore {
  label: string;
  score: number;
  /** 0 to 1; null where the scores are no distribution. */
  probability: number | null;
}

/** The training that a model comes from. */
export interface ModelMoments {
  side: Side;
  name: string;
  /** First to last. */
  moments: TrainingMoment[];
  /** Which of them is shown; null if it is another revision. */
  at: number | null;
}

/** What one model is and predicts. */
export interface Prediction {
  name: string;
  facts: string;
  /** Empty where it predicts nothing. */
  decided: string;
  /** What it decides between, or the likeliest of it: of the text, or at the token that is meant. */
  classes: ClassScore[];
  /** What these are scores of, where it is not the text as a whole. */
  about: string;
  /** What it predicts at each token, if it does; event `at` means another one. */
  tokens: TokenPrediction[];
  /** Whether it can write on: events `write_a` and `write_b` let model A or B do so. */
  writes: boolean;
  note: string;
}

/** Event `read`: the texts are to be read by a model at another moment of its training. */
export interface ReadMoment {
  side: Side;
  /** As of a `TrainingMoment`. */
  revision: string;
}

/** The sentence view of one or two models. */
export interface SentenceFigure {
  text: string[];
  /** `[T]`: how a sentence names them: in quotes, repeated words told apart. */
  names: string[];
  /** `[T]`: 0 or 1, -1 for special tokens; 2 and 3 where a decoder reads both again. */
  sentence: number[];
  /** The units with which a line begins, besides the first: of the second sentence, and of what a decoder reads. */
  lines: number[];
  threshold: string;
  /** Both sentences; the second may be empty. */
  texts: string[];
  /** `[T]`: where in its sentence the word of each unit stands, in UTF-16 code units; null if it stands for none. */
  spans: (Head | null)[];
  /** What masks a word in both models; empty if they have nothing in common. */
  mask: string;
  models: SentenceModel[];
}

/** Influence of the words in one model. */
export interface SentenceModel {
  name: string;
  layers: number;
  /** The token that the score reads, or several. */
  root: number[];
  /** Null without a trained classification head. */
  classes: ClassScore[] | null;
  /** How many heads are switched off. */
  off: number;
  /** `[L, T]`, in heads; null where the model has no such token. */
  influence: ((number | null)[])[];
}

/** What a model predicts at one of its tokens: a class, an end of an answer, or the likeliest word. */
export interface TokenPrediction {
  /** Its number among the pieces of its model. */
  token: number;
  text: string;
  label: string;
  /** 0 to 1 */
  probability: number;
  /** Whether it is the token whose prediction is shown and explained: the root. */
  meant: boolean;
}

/** A checkpoint of a training. */
export interface TrainingMoment {
  /** What the pair names it by; empty for the end. */
  revision: string;
  label: string;
  /** On the Hub; empty for what lies on this machine. */
  commit: string;
}

/** Edges of an attention graph, packed; the last four are base64 text of little-endian bytes. */
export interface Edges {
  /** `[L]`: edges of each layer; they follow each other in this order. */
  count: number[];
  /** Of one number in `query` and `key`. */
  bytes: 1 | 2;
  /** `[E]`: the token that attends. */
  query: string;
  /** `[E]`: the token attended to. */
  key: string;
  /** `[E, ceil(H / 8)]` bytes: the set of heads of each edge, head 0 in the lowest bit. */
  heads: string;
  /** For each edge and each of its heads the attention, in 255ths. */
  weight: string;
}

/** The attention graph of one model; its tokens are numbered in the list of all units. */
export interface RadialModel {
  name: string;
  layers: number;
  /** How many of its layers, the first, are an encoder's; 0 where all are of one stack. */
  encoder: number;
  heads: number;
  /** The token that the score reads or, where it reads several, all of them: then they stand around a centre. */
  root: number[];
  /** What several tokens that are read together are called; empty for one. */
  centre: string;
  /** `[L]`: attention above it makes an edge of a layer, to three digits. */
  tau: number[];
  /** `[L + 1]`: the tokens of rings 0 (what enters the first layer) to L (the root). */
  rings: number[][];
  edges: Edges;
}

/** Tokens of one ring. */
export interface End {
  depth: number;
  tokens: number[];
}

/** What is lit in the radial view: what tokens of a ring depend on in common, or the paths between two rings. */
export interface Selection {
  /** One or two. */
  ends: End[];
  /** The head by which the tokens of the first end read; null for all. */
  head: number | null;
  /** 0 or 1; null for both. */
  model: number | null;
}

/** One step of the guided tour. */
export interface TourStep {
  title: string;
  text: string;
  view: Side;
  selection: Selection;
}

/** The radial view of one or two models. */
export interface Radial {
  unit: "piece" | "word";
  /** `[T]`: what a reader sees of each unit of both models. */
  text: string[];
  /** `[T]`: how a sentence names them: in quotes, repeated words told apart. */
  names: string[];
  /** `[T]`: the entry of the vocabulary. */
  piece: string[];
  /** `[T]`: 0 or 1, -1 for special tokens; 2 and 3 where a decoder reads both again. */
  sentence: number[];
  /** The units with which a line begins, besides the first: of the second sentence, and of what a decoder reads. */
  lines: number[];
  /** What attention must exceed to make an edge, in words. */
  threshold: string;
  models: RadialModel[];
  tour?: TourStep[];
}

/** Property `selected` of the radial view: the word that was selected, and perhaps one of its heads. */
export interface Lit {
  word: number;
  /** By the layers of the deeper model. */
  head: Head | null;
  /** When, in seconds: the same can be selected twice. */
  at: number;
}

/** Property `download` of the radial view: a file for the visitor's browser. */
export interface Download {
  name: string;
  text: string;
  /** When it was made, in seconds: the same file can be asked for twice. */
  at: number;
}

/** One thing that differs between two models. */
export interface DifferenceRow {
  name: string;
  a: string;
  b: string;
  /** From -1 to 1: more in B than in A; of rings the share that differs. */
  change: number;
  /** What it selects on the page. */
  select: Selected | null;
}

/** Things of one kind, the largest difference first. */
export interface DifferenceTable {
  /** Of words and heads a model has more or less; rings only differ. */
  kind: "word" | "head" | "ring";
  title: string;
  /** What the numbers are. */
  about: string;
  rows: DifferenceRow[];
}

/** What two models decide, and what changes between them. */
export interface Answer {
  sentence: string;
}

/** One class without and with some heads. */
export interface ClassChange {
  label: string;
  before: number;
  after: number;
}

/** What switching heads off changed in one model. */
export interface Effect {
  side: Side;
  name: string;
  /** How many heads are off. */
  removed: number;
  /** How far the root's embedding moved, in units of its length. */
  shift: number;
  /** Of the classes. */
  unit: "probability" | "score";
  classes: ClassChange[];
  text: string[];
  /** `[T]`: how a sentence names them: in quotes, repeated words told apart. */
  names: string[];
  sentence: number[];
  /** `[T]`: influence in heads. */
  before: number[];
  after: number[];
  note: string;
}

/** The heat map as Plotly takes it. */
export interface MapTrace {
  type: "heatmap";
  /** `[T, T]` as `[query, key]`, rows sum to 1. */
  z: number[][];
  zmin: number;
  zmax: number;
  colorbar: Record<string, any>;
  hovertemplate: string;
}

/** Token against token, and a sentence under it for one row. */
export interface HeatMap {
  /** One; none where there is no map, which the title says. */
  data: MapTrace[];
  layout: Record<string, any>;
  title: string;
  /** `[T]`: both axes; as many are written as there is room for. */
  names: string[];
  /** `[T]`: how a sentence names them: in quotes, repeated words told apart. */
  told: string[];
  model: Side;
  /** What a row says of the token in place of `{}`. */
  row: string;
  /** Token whose row is told first. */
  start: number;
}

/** A Plotly chart with colours by name, such as `@a`; see `assets/page/chart/chart.js`.

The `customdata` of a point is a `Selected`, or nothing: it is what a click selects. */
export interface ChartFigure {
  title: string;
  data: Record<string, any>[];
  layout: Record<string, any>;
  alt?: string;
  note?: string | null;
  /** Pixels. */
  height?: number;
  /** Pixels of width that it needs; where there is less it is scrolled sideways. */
  least?: number;
}

/** What a reader must know of a method. */
export interface SaliencyMethod {
  name: string;
  title: string;
  signed: boolean;
  measures: string;
  ignores: string;
  source: string;
}

/** The token strips of one model, or of the difference (`ab`); by method, `values` and `scaled` are `[T]`. */
export interface SaliencyModel {
  side: "a" | "b" | "ab";
  name: string;
  about: string;
  /** Why there are no strips, or not all; may be empty. */
  problem: string;
  text: string[];
  /** `[T]`: how a sentence names them: in quotes, repeated words told apart. */
  names: string[];
  sentence: number[];
  /** As of `Radial`. */
  lines: number[];
  verdict?: string;
  /** In the method's own unit; null where the model has no such unit. */
  values?: Record<string, (number | null)[]>;
  /** -1 to 1. */
  scaled?: Record<string, number[]>;
  notes?: Record<string, string>;
  /** Whether it is better than random rankings of the words. */
  beats?: Record<string, boolean>;
  /** Why a method has no strip, as a sentence. */
  absent?: Record<string, string>;
}

/** Token strips of both models. */
export interface Saliency {
  methods: SaliencyMethod[];
  models: SaliencyModel[];
  /** Name of the method that stands up best on this text; empty if that was not measured. */
  best: string;
}
