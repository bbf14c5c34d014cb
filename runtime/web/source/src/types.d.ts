declare module "*.css";
declare module "*/assets/app.js"; // of main.tsx
declare module "pdfjs-dist/legacy/build/pdf.worker.mjs";
